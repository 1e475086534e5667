"""How any program takes a peer's place: what `peers.program` carries out in the host (docs/commands.md).

Braces are filled when the plan is made, but {data}, {op}, {item} and {size_bytes} by the running peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FilePlan:
    """A file made before the program starts: text, the content of an item, or a torrent of an item."""

    path: str  # in the data directory unless absolute
    kind: str  # "text", "content" or "torrent"
    text: str  # the text, or the item's name
    size_bytes: int = 0  # of the item
    trackers: tuple[str, ...] = ()


@dataclass(frozen=True)
class RulePlan:
    """A line of output that matches is this event; named groups are further fields."""

    match: str
    event: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class CommandPlan:
    program: tuple[str, ...]  # with its arguments
    environment: dict[str, str]
    files: tuple[FilePlan, ...]
    with_download: bool  # started by each command `download` instead of at once
    ready: tuple[str, str] | None  # ("output", pattern), ("tcp" or "udp", port), ("file", path); None: at once
    json_lines: bool
    rules: tuple[RulePlan, ...]
    verbs: tuple[str, ...]
    result: str | None
    stop_signal: str
    needs: dict[str, str]  # Python modules, or paths, that it needs: how to install each

    @property
    def served(self) -> frozenset[str]:
        """The verbs that operations may be handed to it with."""
        return frozenset(self.verbs) | ({"download"} if self.with_download else frozenset())
