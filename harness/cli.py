"""The command line: verbs, flags, and the only place that turns errors into exit statuses.

Exit status: 0 passed, 1 an expectation failed, 2 undecided, invalid or interrupted, 3 could not run.
"""

from __future__ import annotations

import argparse
import codecs
import gc
import locale
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import harness
from harness.errors import UNABLE, UNDECIDED, HarnessError

EPILOG = """exit status: 0 passed, 1 an expectation failed, 2 undecided, invalid or interrupted,
3 could not run (the spec, the machine or the harness)"""


class _Parser(argparse.ArgumentParser):
    """A command line that makes no sense could not run: status 2 would say "undecided"."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(UNABLE, f"{self.prog}: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="harness", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Experiments with peer-to-peer networks: a YAML spec becomes a network, a run, a report.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"harness {harness.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _experiment_verbs(verbs)
    _result_verbs(verbs)
    _machine_verbs(verbs)
    return parser


def _verb(verbs: argparse._SubParsersAction[Any], name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


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


def _engine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=("mininet", "memory"), default="mininet",
        help="mininet: Linux namespaces, processes and stack; memory: the protocols alone, in one process",
    )  # fmt: skip
    parser.add_argument(
        "--clock", choices=("real", "virtual"), default="real",
        help="virtual: inside a user-mode kernel whose clock skips idle time (see `harness kernel`)",
    )  # fmt: skip
    parser.add_argument("--results-root", default="results", metavar="DIR", help="where run directories go")
    parser.add_argument(
        "--build-kernel", action="store_true", help="with --clock virtual: build the kernel if there is none"
    )
    parser.add_argument("--memory", default="4G", metavar="SIZE", help="with --clock virtual: the guest's memory")


def _sweep_arguments(parser: argparse.ArgumentParser) -> None:
    _engine_arguments(parser)
    parser.add_argument("--repeat", type=int, metavar="N", help="repetitions of each variant (default: the spec's)")
    parser.add_argument("--most", type=int, default=100, metavar="N", help="no more repetitions than these")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="runs at the same time (default: processors; real clock: 1)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="run cells on the workers of a dask scheduler: tcp://HOST:8786"
    )
    _progress_arguments(parser)


def _experiment_verbs(verbs: argparse._SubParsersAction[Any]) -> None:
    run = _verb(verbs, "run", "run an experiment and draw its report")
    _spec_arguments(run)
    _engine_arguments(run)
    _progress_arguments(run)
    sweep = _verb(verbs, "sweep", "run a spec's variants and repetitions; what was done before is not done again")
    _spec_arguments(sweep)
    sweep.add_argument(
        "--until", metavar="GOAL", help='add repetitions until "ci(success_rate of dht)<0.02", or "...<5%%" of the mean'
    )
    _sweep_arguments(sweep)
    reproduce = _verb(verbs, "reproduce", "run published results again: what the paper says against what is measured")
    reproduce.add_argument("ids", nargs="*", metavar="ID", help="such as T1 (default: all)")
    reproduce.add_argument("--list", action="store_true", help="say which there are")
    reproduce.add_argument("--quick", action="store_true", help="those that take a few minutes together")
    reproduce.add_argument("--set", action="append", metavar="PATH=VALUE", help="change all their specs")
    reproduce.add_argument("--no-run", action="store_true", help="run nothing: count once more what was run before")
    _sweep_arguments(reproduce)
    reproduce.set_defaults(clock="virtual")  # exact and repeatable on any machine
    worker = _verb(verbs, "worker", "run cells of sweeps for a dask scheduler, one at a time")
    worker.add_argument("scheduler", help="its address, as in tcp://192.168.56.10:8786")
    worker.add_argument("--name", help="how the scheduler calls this worker")
    worker.add_argument("--memory-only", action="store_true", help="do not ask for what emulation needs")
    validate = _verb(verbs, "validate", "check a spec, down to its last fault, without running it")
    _spec_arguments(validate)
    plan = _verb(verbs, "plan", "print the resolved plan: addresses, links, command lines, timeline")
    _spec_arguments(plan)
    plan.add_argument("--json", action="store_true", help="the plan as the engines read it")
    verify = _verb(verbs, "verify", "run an experiment several times and tell what differs between the journals")
    _spec_arguments(verify)
    verify.add_argument("--runs", type=int, default=3, metavar="N", help="how often (at least 2)")
    _engine_arguments(verify)
    _progress_arguments(verify)
    schema = _verb(verbs, "schema", "print the JSON schema of specs, for editors")
    schema.set_defaults(json=True)


def _result_verbs(verbs: argparse._SubParsersAction[Any]) -> None:
    report = _verb(verbs, "report", "draw the tables, figures and page of a run again, from its directory alone")
    report.add_argument("run_dir", help="a run directory, that of a sweep, or an archive of `harness bundle`")
    _progress_arguments(report)
    compare = _verb(verbs, "compare", "tell whether runs or sweeps agree: same, differs or undecided, metric by metric")
    compare.add_argument("a", help="a run directory, results/NAME/sweep, or an archive of `harness bundle`")
    compare.add_argument("b", nargs="+", help="others of its kind: of the same experiment in another engine, say")
    compare.add_argument("--output", metavar="DIR", help="where table and figure go (default: comparisons/ in B)")
    compare.add_argument("--json", action="store_true", help="the table as JSON")
    bundle = _verb(verbs, "bundle", "pack a run or a sweep into one archive, for others to open, compare and rerun")
    bundle.add_argument("directory", help="a run directory, or results/NAME/sweep")
    bundle.add_argument("--output", metavar="FILE", help="default: NAME-RUN.tar.gz here")
    bundle.add_argument("--captures", action="store_true", help="with the captured frames (may be large)")
    rerun = _verb(verbs, "rerun", "carry a stored run out again and tell whether the outcome agrees")
    rerun.add_argument("run_dir", help="a run directory, that of a sweep, or an archive of `harness bundle`")
    rerun.add_argument("--results-root", default="results", metavar="DIR", help="where the new run goes")
    rerun.add_argument("--build-kernel", action="store_true", help="virtual clock: build the kernel if there is none")
    rerun.add_argument("--memory", default="4G", metavar="SIZE", help="virtual clock: the guest's memory")
    _progress_arguments(rerun)
    listing = _verb(verbs, "list", "list runs with their verdicts, or what specs can name")
    listing.add_argument(
        "what", nargs="?", default="runs",
        choices=("runs", "protocols", "topologies", "graphs", "presets", "faults", "metrics"),
    )  # fmt: skip
    listing.add_argument("--results-root", default="results", metavar="DIR")
    listing.add_argument("--json", action="store_true", help="as JSON")


def _machine_verbs(verbs: argparse._SubParsersAction[Any]) -> None:
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
    if arguments.verb in ("bundle", "rerun"):
        from harness.commands import keeping

        return keeping.bundle(arguments) if arguments.verb == "bundle" else keeping.rerun(arguments)
    if arguments.verb == "reproduce":
        from harness.commands import reproducing

        return reproducing.reproduce(arguments)
    if arguments.verb in ("sweep", "worker"):
        from harness.commands import sweeping

        return sweeping.sweep(arguments) if arguments.verb == "sweep" else sweeping.worker(arguments)
    if arguments.verb in ("compare", "verify"):
        from harness.commands import comparing

        return comparing.compare(arguments) if arguments.verb == "compare" else comparing.verify(arguments)
    if arguments.verb in ("list", "schema"):
        from harness.commands import listing

        return listing.schema() if arguments.verb == "schema" else listing.show(arguments)
    from harness.commands import machine

    return machine.doctor(arguments) if arguments.verb == "doctor" else machine.kernel(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Never lets a HarnessError out as a traceback."""
    if argv is None:
        _settle()
    try:
        status = dispatch(make_parser().parse_args(argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _be_quiet()  # the reader of our output has left, as in `harness plan ... | head`
        return UNABLE
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return UNABLE
    except OSError as error:
        print(f"harness: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        _be_quiet()  # what standard output did not take would be tried once more at the end
        return UNABLE
    except KeyboardInterrupt as interrupt:
        print("harness:", *(interrupt.args or ("interrupted",)), file=sys.stderr)
        return UNDECIDED
    finally:
        if argv is None:
            gc.freeze()  # the interpreter's end would look through all objects of the drawing libraries: 0.7 s


def _settle() -> None:
    """UTF-8 whatever the locale says, for ourselves and the processes we start; standard streams; SIGTERM as Ctrl-C."""
    if codecs.lookup(locale.getpreferredencoding(False)).name != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.execve(sys.executable, sys.orig_argv, os.environ | {"PYTHONUTF8": "1"})
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started us
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - for the rest of our life
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _be_quiet() -> None:
    """Send what is still to be said to nobody, so that the interpreter can flush it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


if __name__ == "__main__":
    sys.exit(main())
