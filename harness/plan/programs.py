"""`command:` of a peer group -> CommandPlan: braces are filled with what the plan knows of the peer."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.plan.command import CommandPlan, FilePlan, RulePlan
from harness.plan.items import item_names
from harness.spec.command import PeerCommand, ProvidedFile
from harness.spec.load import Document
from harness.spec.model import Spec
from harness.spec.wording import did_you_mean
from peers.core import Address
from peers.program_files import info_hash
from peers.registry import PROGRAMS, load

BRACES = re.compile(r"\{([a-z_]+)(?::([^{}\s]*))?\}")
LATER = ("data", "op", "item", "size_bytes")  # filled by peers.program
VERBS = ("publish", "lookup", "download", "broadcast", "dump")

SHIPPED = Path(__file__).resolve().parents[2] / "experiments" / "programs"


def program_of(protocol: str, bootstrap: Sequence[str], options: Mapping[str, Any]) -> PeerCommand:
    """The program that speaks a protocol of `peers.registry.PROGRAMS`; options of the protocol are flags of it."""
    verbs = sorted(load(protocol, next(iter(PROGRAMS[protocol]))).verbs)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    known = [f"--bootstrap={address}" for address in bootstrap]
    return PeerCommand(
        program="{python}",
        arguments=[str(SHIPPED / f"{protocol}_peer.py"), "--listen={address}", *known, *flags],
        events="json_lines",
        verbs=verbs,
        needs={protocol: f"pip install 'p2p-harness[{protocol}]' (docs/protocols/{protocol}.md says what that needs)"},
    )


class ProgramPlanner:
    """Plans the program of one peer. Raises SpecError."""

    def __init__(
        self, spec: Spec, document: Document, place: tuple[str | int, ...], name: str, host: str, listen: str,
        bootstrap: Sequence[str], seed: int,
    ) -> None:  # fmt: skip
        self.spec, self.document, self.place = spec, document, place
        self.items = item_names(spec.items.count)
        address, port = Address.parse(listen)
        self.values = {
            "name": name, "hostname": host, "address": listen, "host": address, "port": str(port), "seed": str(seed),
            "python": sys.executable, "here": str(document.path.resolve().parent),
        }  # fmt: skip
        self.values["bootstraps"] = ",".join(bootstrap)
        if bootstrap:
            first = Address.parse(bootstrap[0])
            self.values |= {
                "bootstrap": bootstrap[0], "bootstrap_host": first.host, "bootstrap_port": str(first.port),
            }  # fmt: skip

    def plan(self, command: PeerCommand) -> CommandPlan:
        text = self._text
        for verb in command.verbs:
            if verb not in VERBS:
                self._refuse(("verbs",), f"there is no verb {verb!r}{did_you_mean(verb, VERBS)}")
        words = [command.program, *map(str, command.arguments)]
        return CommandPlan(
            program=tuple(text(word, "arguments" if index else "program") for index, word in enumerate(words)),
            environment={key: text(value, "environment") for key, value in command.environment.items()},
            files=tuple(self._file(file) for file in command.files),
            with_download=command.starts == "with a download",
            ready=self._ready(command),
            json_lines=command.events == "json_lines",
            rules=tuple(
                RulePlan(rule.match, rule.event, self._fields(rule.fields))
                for rule in (command.events if isinstance(command.events, list) else ())
            ),
            verbs=tuple(command.verbs),
            result=text(command.result, "result") if command.result is not None else None,
            stop_signal=command.stop_signal,
            needs={text(key, "needs"): how for key, how in command.needs.items()},
        )

    def _ready(self, command: PeerCommand) -> tuple[str, str] | None:
        ready = command.ready
        if ready is None:
            return None
        if ready.output is not None:
            return "output", ready.output
        if ready.port is not None:
            return ready.port, self.values["port"]
        return "file", self._text(ready.file or "", "ready")

    def _file(self, file: ProvidedFile) -> FilePlan:
        path = self._text(file.path, "files")
        if file.text is not None:
            return FilePlan(path, "text", self._text(file.text, "files"))
        kind, item = ("content", file.content) if file.content is not None else ("torrent", file.torrent)
        trackers = tuple(self._text(url, "files") for url in file.trackers)
        return FilePlan(path, kind, item or "", self._size(item or ""), trackers)

    def _size(self, item: str) -> int:
        if BRACES.fullmatch(item):  # {item}: known when a download begins
            item = self.items[0] if self.items else ""
        if item not in self.items:
            self._refuse(("files",), f"there is no item {item!r}{did_you_mean(item, self.items)}")
        if not self.spec.items.size:
            self._refuse(("files",), "items have no size; write items: {count: ..., size: ...}")
        return int(self.spec.items.size or 0)

    def _fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Braces in fields may also name groups of the pattern."""
        return {key: self._fill(v, lambda whole: whole) if isinstance(v, str) else v for key, v in fields.items()}

    def _text(self, text: str, key: str) -> str:
        def unknown(whole: str) -> str:
            name = whole.strip("{}")
            known = (*self.values, *LATER, "info_hash:ITEM", "key:ITEM")
            if name.startswith("bootstrap"):
                self._refuse((key,), f"{whole}: this peer is told of no other")
            self._refuse((key,), f"there is no value {whole}{did_you_mean(name, known)}")
            return ""

        return self._fill(text, unknown)

    def _fill(self, text: str, unknown: Callable[[str], str]) -> str:
        def value(found: re.Match[str]) -> str:
            name, argument = found.groups()
            if name == "info_hash" and argument:
                return info_hash(argument, self._size(argument))
            if name == "key" and argument:
                return hashlib.sha1(argument.encode()).hexdigest()
            if argument is None and name in self.values:
                return self.values[name]
            return found[0] if argument is None and name in LATER else unknown(found[0])

        return BRACES.sub(value, text)

    def _refuse(self, where: tuple[str, ...], message: str) -> None:
        raise self.document.fail((*self.place, "command", *where), message)
