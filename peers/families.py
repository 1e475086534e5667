"""One core in both families of addresses: two cores that know nothing of each other's network, and act as one.

What a user asks for is asked of both. To publish is done when both have ended; a lookup ends when one of them found
something (`all_of_it`: when both have ended).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from peers.core import (
    CancelTimer,
    Closed,
    Command,
    Core,
    Datagram,
    Drained,
    Effect,
    Emit,
    Input,
    Opened,
    Received,
    SetTimer,
    Setting,
    Started,
    TimerFired,
)

SIX = "6 "  # before names of timers of the sister
STREAMS = 1 << 40  # even numbers from here on are of streams that the sister opened
SUMS = ("rpcs", "timeouts", "stored", "attempts", "seeders", "leechers")
NO_OPERATION = ("dump", "stop")


@dataclass
class _Outcome:
    """What became of an operation in the DHTs that have ended it."""

    ends: list[dict[str, Any]] = field(default_factory=list)
    told: bool = False


class Pair:
    """A core that is given inputs by `handle`, and its sister of IPv6: their effects become those of one."""

    def __init__(
        self, handle: Callable[[float, Input], list[Effect]], sister: Core, state: Callable[[], dict[str, Any]],
        all_of_it: bool = False,
    ) -> None:  # fmt: skip
        self._handle = {False: handle, True: sister.handle}
        self._state = state  # of the sister
        self._all_of_it = all_of_it
        self._ready: set[bool] = set()
        self._outcomes: dict[str, _Outcome] = {}
        sister._next_conn = STREAMS

    def handle(self, now: float, event: Input) -> list[Effect]:
        """Datagrams go to the core of their family, timers and streams to whose they are, orders to both."""
        if isinstance(event, Datagram):
            return self.give(event.source.ipv6, now, event)
        if isinstance(event, TimerFired):
            six = event.name.startswith(SIX)
            return self.give(six, now, TimerFired(event.name.removeprefix(SIX)) if six else event)
        if isinstance(event, (Started, Command)):
            if isinstance(event, Command) and event.verb not in NO_OPERATION:
                self._outcomes[event.op] = _Outcome()
            return [effect for six in (False, True) for effect in self.give(six, now, event)]
        assert isinstance(event, (Opened, Received, Closed, Drained))
        return self.give(event.conn >= STREAMS, now, event)

    def give(self, six: bool, now: float, event: Input) -> list[Effect]:
        return [new for effect in self._handle[six](now, event) for new in self._translated(six, effect)]

    def _translated(self, six: bool, effect: Effect) -> list[Effect]:
        if six and isinstance(effect, (SetTimer, CancelTimer)):
            return [effect._replace(name=SIX + effect.name)]
        if not isinstance(effect, Emit):
            return [effect]
        if effect.event == "ready":
            self._ready.add(six)
            return [effect] if len(self._ready) == 2 else []
        if effect.event == "op_start":
            return [] if six else [effect]
        if effect.event == "op_end":
            return self._ended(effect)
        if effect.event == "state":
            return (
                []
                if six
                else [
                    Emit(
                        "state",
                        {**effect.fields, "state": effect.fields["state"] | {"ipv6": self._state()}},
                    )
                ]
            )
        return [effect]

    def _ended(self, effect: Emit) -> list[Effect]:
        op = effect.fields["op"]
        outcome = self._outcomes.get(op)
        if outcome is None:  # an order whose number was used again
            return []
        outcome.ends.append(effect.fields)
        both = len(outcome.ends) == 2
        if both:
            del self._outcomes[op]
        first_found = effect.fields["verb"] == "lookup" and effect.fields["ok"] and not self._all_of_it
        if outcome.told or not (both or first_found):
            return []
        outcome.told = True
        return [Emit("op_end", merged(outcome.ends))]


def merged(ends: list[dict[str, Any]]) -> dict[str, Any]:
    """One outcome of one or two: right when one is, providers and costs of both, hops of the shorter way."""
    well = [end for end in ends if end["ok"]]
    found = {**(well or ends)[0], "providers": list(dict.fromkeys(p for end in well for p in end["providers"]))}
    hops = [end["hops"] for end in well or ends if end.get("hops") is not None]
    if "hops" in found:
        found["hops"] = min(hops, default=None)
    if "rounds" in found:
        found["rounds"] = max(end.get("rounds", 0) for end in ends)
    if "closest" in found:
        found["closest"] = list(dict.fromkeys(node for end in ends for node in end.get("closest", ())))
    return found | {key: sum(end.get(key, 0) for end in ends) for key in SUMS if key in found}


def apart(setting: Setting) -> tuple[Setting, Setting]:
    """The settings of the two cores: one identity, and chance of their own."""
    assert setting.address6 is not None
    identity = Random()
    identity.setstate(setting.identity.getstate())
    first = replace(setting, address6=None)
    second = replace(
        setting, address=setting.address6, address6=None, identity=identity, rng=Random(setting.rng.getrandbits(64))
    )
    return first, second
