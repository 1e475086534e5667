"""python3 -m harness.virtual build | status | run [--writable DIR]... [--memory SIZE] -- COMMAND..."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from harness.errors import UNABLE, UNDECIDED, HarnessError
from harness.virtual import kernel
from harness.virtual.boot import run


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        if arguments.verb == "build":
            print(kernel.build(lambda line: print(line, flush=True), force=arguments.force))
            return 0
        if arguments.verb == "status":
            found = kernel.status()
            print(found)
            return 0 if found.kernel else UNABLE
        return _run(arguments)
    except HarnessError as error:
        print(f"virtual: {error}", file=sys.stderr)
        return UNABLE


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise HarnessError("no command to run; write it after --")
    with tempfile.TemporaryDirectory(prefix="console-") as folder:
        return _boot(command, arguments, arguments.console or Path(folder) / "console.log")


def _boot(command: list[str], arguments: argparse.Namespace, console: Path) -> int:
    result = run(
        command,
        arguments.writable,
        console=console,
        memory=arguments.memory,
        cpu=arguments.cpu,
        seed=arguments.seed,
        stall_limit_s=arguments.stall_limit,
        wall_limit_s=arguments.wall_limit,
        virtual_limit_s=arguments.virtual_limit,
        on_line=lambda line: print(line, flush=True),
    )
    if arguments.time or result.reason != "exited":
        ended = f"{result.reason}: {result.detail}" if result.detail else result.reason
        print(f"{ended}; {result.virtual_s:.3f} virtual s in {result.wall_s:.3f} s", file=sys.stderr)
    return result.exit_status if result.exit_status is not None else UNDECIDED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="harness.virtual", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="make the kernel, unless it is there")
    build.add_argument("--force", action="store_true", help="even if it is there")
    verbs.add_parser("status", help="say which kernel there is")
    boot = verbs.add_parser("run", help="run a command in virtual time; its exit status is ours")
    boot.add_argument(
        "--writable", type=Path, action="append", default=[], metavar="DIR", help="a directory it may change"
    )
    boot.add_argument("--memory", default="2G", metavar="SIZE")
    boot.add_argument("--cpu", type=int, metavar="N", help="pin it to this processor (default: one that is free)")
    boot.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is random in the guest")
    boot.add_argument("--console", type=Path, metavar="FILE", help="keep the kernel's messages there")
    boot.add_argument(
        "--stall-limit", type=float, default=120.0, metavar="S", help="wall seconds without virtual progress"
    )
    boot.add_argument("--wall-limit", type=float, metavar="S")
    boot.add_argument("--virtual-limit", type=float, metavar="S")
    boot.add_argument("--time", action="store_true", help="say how much time passed")
    boot.add_argument("command", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
