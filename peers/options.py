"""The command line of a peer: flags common to all, and one flag for each option of the protocol's core."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from peers.core import Address, Core
from peers.core import Options as CoreOptions
from peers.registry import PROTOCOLS, load, roles

COMMANDS = """\
Commands come on standard input, one a line, as JSON or as plain words; events leave on standard output as JSON lines:
  {"op": "1", "verb": "lookup", "item": "x"}      lookup x      publish x      dump      stop
A peer stops in order at SIGTERM, SIGINT, the verb stop, or when a pipe on its standard input is closed."""


@dataclass(frozen=True)
class Arguments:
    """What a command line says. `listen` may have port 0: any free one."""

    core: type[Core]
    listen: Address
    listen6: Address | None
    bootstrap: tuple[Address, ...]
    seed: int
    restart: int
    trace: bool
    max_streams: int
    options: CoreOptions


def parse(argv: list[str]) -> Arguments:
    """Read the arguments after `python3 -m peers`. Raises SystemExit, after printing, for help and for mistakes."""
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        raise SystemExit(0 if argv else 2)
    protocol, *rest = argv
    if protocol not in PROTOCOLS:
        _OUTERMOST.error(f"there is no protocol {protocol!r}: choose from {', '.join(PROTOCOLS)}")
    role = _role(protocol, rest)
    core = load(protocol, role)
    if "-h" in rest or "--help" in rest:
        print(full_help(protocol, role))
        raise SystemExit(0)
    given = _parser(protocol, core).parse_args(rest)
    try:
        options = core.Options(**{field.name: getattr(given, f"option_{field.name}") for field in fields(core.Options)})
    except ValueError as error:  # each value for itself is fine, but not what it says
        print(f"peers: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    if given.listen6 is not None and not core.both_families:
        _OUTERMOST.error(f"protocol {protocol} uses one family of addresses: leave --listen6 away")
    if given.listen.ipv6 and core.no_ipv6:
        _OUTERMOST.error(f"protocol {protocol} cannot be used over IPv6: {core.no_ipv6}")
    if given.listen6 is not None and (given.listen.ipv6 or given.listen6.port != given.listen.port):
        _OUTERMOST.error("--listen6 goes with a --listen of IPv4, on the same port")
    return Arguments(
        core=core,
        listen=given.listen,
        listen6=given.listen6,
        bootstrap=tuple(given.bootstrap),
        seed=given.seed if given.seed is not None else int.from_bytes(os.urandom(8), "big"),
        restart=given.restart,
        trace=given.trace,
        max_streams=given.max_streams,
        options=options,
    )


def overview() -> str:
    """The text of `python3 -m peers --help`."""
    lines = ["usage: python3 -m peers PROTOCOL [--role ROLE] [options]", "", "One peer, by hand. Protocols:"]
    for protocol in PROTOCOLS:
        lines += [f"  {protocol:<10} {role:<10} {_summary(load(protocol, role))}" for role in roles(protocol)]
    return "\n".join([*lines, "", "python3 -m peers PROTOCOL --help lists the options.", "", COMMANDS])


def full_help(protocol: str, role: str) -> str:
    """The text of `python3 -m peers PROTOCOL --help`: the role's own options, then those of the other roles."""
    parts = [_parser(protocol, load(protocol, role)).format_help()]
    for other in roles(protocol):
        if other != role:
            bare = argparse.ArgumentParser(add_help=False, usage=argparse.SUPPRESS, formatter_class=_Help)
            _add_options(bare, load(protocol, other))
            parts.append(bare.format_help())
    return "\n".join(parts).rstrip()


def _role(protocol: str, rest: list[str]) -> str:
    """The role decides which flags there are, so it is looked for before they are read; mistakes are told by then."""
    asked = [after for flag, after in pairwise(rest) if flag == "--role"]
    asked += [part.removeprefix("--role=") for part in rest if part.startswith("--role=")]
    return asked[-1] if asked and asked[-1] in roles(protocol) else roles(protocol)[0]


class _Help(argparse.RawDescriptionHelpFormatter):
    """Of fixed width: asking the terminal would load shutil and what it needs into every peer."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=110, max_help_position=30)


# made when this is imported, so that what argparse loads at its first use is there before peers are forked
_OUTERMOST = argparse.ArgumentParser(prog="python3 -m peers", formatter_class=_Help)


def _parser(protocol: str, core: type[Core]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python3 -m peers {protocol}",
        description=_summary(core),
        epilog=COMMANDS,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--role", choices=roles(protocol), default=core.role, help="what this peer is (default: %(default)s)")
    home = Address("127.0.0.1", core.default_port)
    add("--listen", type=_listen, default=home, metavar="ADDRESS:PORT", help="default: %(default)s; port 0: a free one")
    add("--listen6", type=_listen6, metavar="[ADDRESS]:PORT", help="the same port of an IPv6 address, to have both")
    add("--bootstrap", type=_remote, action="append", default=[], metavar="ADDRESS:PORT",
        help="a peer to start from; may be given several times")  # fmt: skip
    add("--seed", type=int, help="of everything random in the protocol (default: drawn by the system)")
    add("--restart", type=int, default=0, metavar="N",
        help="how often it was started before: with the same seed its id stays, the rest is new")  # fmt: skip
    add("--no-trace", dest="trace", action="store_false", help="no sent and received events")
    add("--max-streams", type=_positive, default=512, metavar="N",
        help="connections accepted at the same time (default: %(default)s)")  # fmt: skip
    _add_options(parser, core)
    return parser


def _add_options(parser: argparse.ArgumentParser, core: type[Core]) -> None:
    if not fields(core.Options):
        return
    group = parser.add_argument_group(f"options of role {core.role}")
    for field in fields(core.Options):
        default: Any = field.default
        kind = str if default is None else type(default)
        text = str(field.metadata.get("help", "")).replace("%", "%%")
        shown = str(default).lower() if kind is bool else repr(default) if default == "" else default
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=f"option_{field.name}",
            type=_truth if kind is bool else kind,
            default=default,
            metavar="true|false" if kind is bool else kind.__name__.upper(),
            help=f"{text} (default: {shown})",
        )


def _summary(core: type[Core]) -> str:
    return (core.__doc__ or core.__name__).strip().splitlines()[0]


def _remote(text: str) -> Address:
    try:
        address = Address.parse(text)
        socket.inet_pton(socket.AF_INET6 if ":" in address.host else socket.AF_INET, address.host)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except OSError as error:  # names are not resolved: an experiment must not hang on a name server
        raise argparse.ArgumentTypeError(f"{address.host!r} is not an IP address") from error
    return address


def _listen(text: str) -> Address:
    if text.endswith(":0"):
        return _remote(text[:-1] + "1")._replace(port=0)
    return _remote(text)


def _listen6(text: str) -> Address:
    address = _listen(text)
    if not address.ipv6:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv6 address with a port, as in [fd00::1]:6881")
    return address


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"
