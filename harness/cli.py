"""The command line: verbs, flags, and the only place that turns errors into exit statuses.

Exit status: 0 passed, 1 an expectation failed, 2 undecided, invalid or interrupted, 3 could not run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import harness
from harness.errors import UNABLE, HarnessError

EPILOG = """exit status: 0 passed, 1 an expectation failed, 2 undecided, invalid or interrupted,
3 could not run (the spec, the machine or the harness)"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Experiments with peer-to-peer networks: a YAML spec becomes a network, a run, a report.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"harness {harness.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _experiment_verbs(verbs)
    _result_verbs(verbs)
    _machine_verbs(verbs)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    return verbs.add_parser(
        name, help=text, description=text, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _spec_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", help="the experiment, a YAML file, such as experiments/partition.yaml")
    parser.add_argument("--seed", type=int, metavar="N", help="another seed than the spec's")
    parser.add_argument(
        "--set", action="append", metavar="PATH=VALUE", help="change the spec, as in --set overlays.dht.options.k=16"
    )


def _progress_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress", choices=("auto", "live", "plain", "none"), default="auto",
        help="how progress is shown (auto: live on a terminal, plain elsewhere)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="progress and outcome as JSON lines on standard output")


def _experiment_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _verb(verbs, "run", "run an experiment and draw its report")
    _spec_arguments(run)
    run.add_argument(
        "--engine", choices=("mininet", "memory"), default="mininet",
        help="mininet: Linux namespaces, processes and stack; memory: the protocols alone, in one process",
    )  # fmt: skip
    run.add_argument(
        "--clock", choices=("real", "virtual"), default="real",
        help="virtual: inside a user-mode kernel whose clock skips idle time (see `harness kernel`)",
    )  # fmt: skip
    run.add_argument("--results-root", default="results", metavar="DIR", help="where run directories go")
    run.add_argument(
        "--build-kernel", action="store_true", help="with --clock virtual: build the kernel if there is none"
    )
    run.add_argument("--memory", default="4G", metavar="SIZE", help="with --clock virtual: the guest's memory")
    _progress_arguments(run)
    validate = _verb(verbs, "validate", "check a spec, down to its last fault, without running it")
    _spec_arguments(validate)
    plan = _verb(verbs, "plan", "print the resolved plan: addresses, links, command lines, timeline")
    _spec_arguments(plan)
    plan.add_argument("--json", action="store_true", help="the plan as the engines read it")
    schema = _verb(verbs, "schema", "print the JSON schema of specs, for editors")
    schema.set_defaults(json=True)


def _result_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = _verb(verbs, "report", "draw the tables, figures and page of a run again, from its directory alone")
    report.add_argument("run_dir", help="a run directory, such as results/partition/latest")
    _progress_arguments(report)
    listing = _verb(verbs, "list", "list runs with their verdicts, or what specs can name")
    listing.add_argument(
        "what", nargs="?", default="runs",
        choices=("runs", "protocols", "topologies", "graphs", "presets", "faults", "metrics"),
    )  # fmt: skip
    listing.add_argument("--results-root", default="results", metavar="DIR")
    listing.add_argument("--json", action="store_true", help="as JSON")


def _machine_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = _verb(verbs, "doctor", "say what this machine can do, what is missing and how to get it")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    kernel = _verb(verbs, "kernel", "build the kernel of --clock virtual, or tell about it")
    kernel.add_argument("action", choices=("build", "status"))


def dispatch(arguments: argparse.Namespace) -> int:
    """Import only what the verb needs: a run must start quickly."""
    if arguments.verb in ("run", "validate", "plan", "report"):
        from harness.commands import experiments

        verb = {"run": experiments.run, "validate": experiments.validate, "plan": experiments.show_plan}
        return verb.get(arguments.verb, experiments.report)(arguments)
    if arguments.verb in ("list", "schema"):
        from harness.commands import listing

        return listing.schema() if arguments.verb == "schema" else listing.show(arguments)
    from harness.commands import machine

    return machine.doctor(arguments) if arguments.verb == "doctor" else machine.kernel(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Never lets a HarnessError out as a traceback."""
    arguments = make_parser().parse_args(argv)
    try:
        return dispatch(arguments)
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return UNABLE
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return UNABLE
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left, as in `harness plan ... | head`
        return UNABLE


if __name__ == "__main__":
    sys.exit(main())
