"""Metrics while a run goes on, from the stream of events: what conditions of faults and hooks look at.

Coarser than the metrics of `harness.analysis`, which know what peers had really published; NaN where too little has
been seen to tell.
"""

from __future__ import annotations

import math
import operator
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Set

from harness.engine import PeerEvent
from harness.faults import Condition
from harness.plan.model import Plan

LEAST = 5  # lookups below which a share of them says little
KEPT_S = 600.0  # no stretch of time that is asked for is longer
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


class Live:
    """Hears every event; `ready` is the conductor's own set of peers that are up."""

    def __init__(self, plan: Plan, ready: Set[str]) -> None:
        self._plan, self._ready = plan, ready
        self._overlay = {peer.name: peer.overlay for peer in plan.peers}
        self._lookups: deque[tuple[float, str, bool]] = deque()
        self._sent: dict[str, deque[tuple[float, int]]] = {peer.name: deque() for peer in plan.peers}  # by second
        self._ended: Counter[tuple[str, str]] = Counter()  # (overlay, verb)
        self._delivered: dict[tuple[str, str], set[str]] = defaultdict(set)  # (overlay, item)
        self.traffic_bytes: Counter[str] = Counter()  # traced messages that each peer sent

    def hear(self, notice: PeerEvent) -> None:
        overlay, fields, t_s = self._overlay.get(notice.peer), notice.fields, notice.t_ns / 1e9
        if overlay is None:
            return
        if notice.event == "sent":
            self._count_sent(notice.peer, t_s)
            self.traffic_bytes[notice.peer] += int(fields.get("bytes") or 0)
        elif notice.event == "delivered":
            self._delivered[overlay, str(fields.get("item"))].add(notice.peer)
        elif notice.event == "op_end":
            verb, ok = str(fields.get("verb")), bool(fields.get("ok"))
            if verb == "lookup":
                self._lookups.append((t_s, overlay, ok))
            self._ended[overlay, verb] += ok or verb == "lookup"

    def _count_sent(self, peer: str, t_s: float) -> None:
        """Tenths of a second are fine enough, and few enough to keep."""
        kept, tenth = self._sent[peer], math.floor(t_s * 10) / 10
        if kept and kept[-1][0] == tenth:
            kept[-1] = tenth, kept[-1][1] + 1
            return
        kept.append((tenth, 1))
        while kept[0][0] < t_s - KEPT_S:
            kept.popleft()

    def holds(self, condition: Condition, now: float) -> bool:
        """NaN passes no level."""
        value = self.value(condition.metric, condition.overlay, condition.over_s, now)
        return COMPARE[condition.compare](value, condition.level)

    def value(self, metric: str, overlay: str | None, over_s: float, now: float) -> float:
        """Raises KeyError for a metric that there is not."""
        measure: Callable[[str | None, float, float], float] = {
            "success_rate": self._success_rate, "availability": self._availability, "reach": self._reach,
            "messages_per_s": self._messages_per_s,
        }.get(metric) or self._count(metric)  # fmt: skip
        return measure(overlay, over_s, now)

    def _count(self, metric: str) -> Callable[[str | None, float, float], float]:
        verb = {"lookups": "lookup", "downloads": "download", "broadcasts": "broadcast"}[metric]
        return lambda overlay, _over_s, _now: float(
            sum(count for (of, what), count in self._ended.items() if what == verb and overlay in (None, of))
        )

    def _success_rate(self, overlay: str | None, over_s: float, now: float) -> float:
        while self._lookups and self._lookups[0][0] < now - KEPT_S:
            self._lookups.popleft()
        found = [ok for t_s, of, ok in self._lookups if t_s >= now - over_s and overlay in (None, of)]
        return sum(found) / len(found) if len(found) >= LEAST else math.nan

    def _peers(self, overlay: str | None) -> list[str]:
        return [name for name, of in self._overlay.items() if overlay in (None, of)]

    def _availability(self, overlay: str | None, _over_s: float, _now: float) -> float:
        peers = self._peers(overlay)
        return sum(name in self._ready for name in peers) / len(peers)

    def _reach(self, overlay: str | None, _over_s: float, _now: float) -> float:
        up = {name: self._overlay[name] for name in self._peers(overlay) if name in self._ready}
        sizes = Counter(up.values())
        shares = [
            len(got & up.keys()) / sizes[of]
            for (of, _item), got in self._delivered.items()
            if overlay in (None, of) and sizes[of]
        ]
        return max(shares, default=math.nan)

    def _messages_per_s(self, overlay: str | None, over_s: float, now: float) -> float:
        """NaN where peers do not trace."""
        peers = [name for name in self._peers(overlay) if self._plan.peer[name].trace]
        count = sum(number for name in peers for t_s, number in self._sent[name] if t_s >= now - over_s)
        return count / over_s if peers else math.nan
