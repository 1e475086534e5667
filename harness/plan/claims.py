"""What each fault holds while it lasts, so that two faults never hold the same thing: undoing one would undo both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from harness.faults import Action, Block, FillDisk, SetLink, Shape, Signal, StartPeer, Throttle

# ("link" or "peer" or "paused" or "disk" or "processor", name), ("shape", link, direction), ("path", address, address)
Key = tuple[str, ...]


class Span(NamedTuple):
    """`fault` holds something from `start` to `end` (infinity: to the end of the run)."""

    start: float
    end: float
    fault: str

    def __str__(self) -> str:
        until = "the end" if self.end == inf else f"{self.end:g} s"
        return f"{self.fault}, from {max(0.0, self.start):g} s to {until}"


class Contradiction(ValueError):
    """Two faults want the same thing at the same time."""


class Claims:
    """Who holds what, and when."""

    def __init__(self, host_of: Mapping[str, str]) -> None:
        self._host_of = host_of  # for messages, by address
        self._spans: dict[Key, list[Span]] = {}

    def holder(self, key: Key, moment: float) -> Span | None:
        return next((span for span in self._spans.get(key, ()) if span.start <= moment < span.end), None)

    def take(self, keys: Iterable[Key], span: Span) -> None:
        """Hold these. Raises Contradiction when another fault holds one of them at any time of the span."""
        for key in keys:
            held = self._spans.setdefault(key, [])
            if key[0] == "shape":  # what was changed for good may be changed again
                held[:] = [
                    other._replace(end=min(other.end, span.start)) if other.end == inf else other for other in held
                ]
            clash = next((other for other in held if other.start < span.end and span.start < other.end), None)
            if clash is not None:
                raise Contradiction(f"{self._told(key)} by fault {clash}; faults on the same thing must not overlap")
            held.append(span)

    def release(self, keys: Iterable[Key], moment: float) -> None:
        """They are put right at that moment. Raises Contradiction when a fault does that by itself later."""
        for key in keys:
            held = self.holder(key, moment)
            if held is None:
                continue
            if key[0] in ("peer", "link") and held.end != inf:
                again = "starts it again" if key[0] == "peer" else "brings it up"
                raise Contradiction(f"{self._told(key)} by fault {held}: that fault {again} by itself")
            spans = self._spans[key]
            spans[spans.index(held)] = held._replace(end=moment)

    def _told(self, key: Key) -> str:
        if key[0] == "path":
            source, target = (self._host_of.get(address, address) for address in key[1:])
            return f"the way from {source} to {target} is blocked"
        if key[0] == "shape":
            return f"link {key[1]!r} is degraded"
        if key[0] == "disk":
            return f"the disk of {key[1]!r} is full"
        if key[0] == "processor":
            return f"peer {key[1]!r} is throttled"
        return f"{key[0]} {key[1]!r} is {'down' if key[0] == 'link' else 'down, paused or not there'}"


def harmed(actions: Sequence[Action]) -> list[Key]:
    """What these actions take away or change."""
    started = {action.peer for action in actions if isinstance(action, StartPeer)}
    keys: dict[Key, None] = {}
    for action in actions:
        if isinstance(action, SetLink) and not action.up:
            keys["link", action.link] = None
        elif isinstance(action, Shape):
            keys["shape", action.link, action.direction] = None
        elif isinstance(action, FillDisk):
            keys["disk", action.peer] = None
        elif isinstance(action, Throttle):
            keys["processor", action.peer] = None
        elif isinstance(action, Block):
            keys |= {("path", s, t): None for s in action.sources for t in action.destinations if s != t}
        elif isinstance(action, Signal) and action.signal != "CONT" and action.peer not in started:
            keys["peer", action.peer] = None
            if action.signal == "STOP":
                keys["paused", action.peer] = None
    return list(keys)


def mended(actions: Sequence[Action]) -> list[Key]:
    """What these actions put right."""
    keys: list[Key] = []
    for action in actions:
        if isinstance(action, SetLink) and action.up:
            keys.append(("link", action.link))
        elif isinstance(action, StartPeer) or (isinstance(action, Signal) and action.signal == "CONT"):
            keys += [("peer", action.peer), ("paused", action.peer)]
    return keys
