"""A node in both DHTs, that of IPv4 and that of IPv6 (BEP 32): two nodes of one id, each with a table and a store.

Nothing that was stored in the one is in the other. What a user asks for is asked of both: to publish is to be announced
in both, and a lookup ends when one of them found something (with `exhaustive` when both have ended).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from peers.core import (
    CancelTimer,
    Command,
    Datagram,
    Effect,
    Emit,
    Input,
    SetTimer,
    Setting,
    Started,
    TimerFired,
)
from peers.dht.member import NAMED, Member

SIX = "6 "  # before names of timers of the sister
SUMS = ("rpcs", "timeouts", "stored")


@dataclass
class _Outcome:
    """What became of an operation in the DHTs that have ended it."""

    ends: list[dict[str, Any]] = field(default_factory=list)
    told: bool = False


class Pair:
    """Two nodes as one core: `first` and `sister` are given inputs, and their effects become those of one."""

    def __init__(
        self, first: Member, handle: Callable[[float, Input], list[Effect]], sister: Member, exhaustive: bool
    ) -> None:
        self._nodes = {False: first, True: sister}
        self._handle = {False: handle, True: sister.handle}
        self._exhaustive = exhaustive
        self._ready: set[bool] = set()
        self._outcomes: dict[str, _Outcome] = {}

    def handle(self, now: float, event: Input) -> list[Effect]:
        """Datagrams go to the node of their family, timers to whose they are, all else to both."""
        if isinstance(event, Datagram):
            return self._give(event.source.ipv6, now, event)
        if isinstance(event, TimerFired):
            six = event.name.startswith(SIX)
            return self._give(six, now, TimerFired(event.name.removeprefix(SIX)) if six else event)
        if isinstance(event, (Started, Command)):
            if isinstance(event, Command) and event.verb != "dump":
                self._outcomes[event.op] = _Outcome()
            return [effect for six in (False, True) for effect in self._give(six, now, event)]
        return self._give(False, now, event)

    def _give(self, six: bool, now: float, event: Input) -> list[Effect]:
        effects = [new for effect in self._handle[six](now, event) for new in self._translated(six, effect)]
        if self._nodes[not six].named:
            effects += self._give(not six, now, TimerFired(NAMED))
        return effects

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
                        {**effect.fields, "state": effect.fields["state"] | {"ipv6": self._nodes[True].state()}},
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
        first_found = effect.fields["verb"] == "lookup" and effect.fields["ok"] and not self._exhaustive
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
    """The settings of the two nodes: one id, and chance of their own."""
    assert setting.address6 is not None
    identity = Random()
    identity.setstate(setting.identity.getstate())
    first = replace(setting, address6=None)
    second = replace(
        setting, address=setting.address6, address6=None, identity=identity, rng=Random(setting.rng.getrandbits(64))
    )
    return first, second
