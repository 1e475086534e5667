"""Conditions on live metrics, as people write them: "success_rate of dht over 5 s < 0.5"."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple, cast

from pydantic import BeforeValidator, WithJsonSchema

from harness.faults import OVER_S
from harness.spec.units import duration_s

LIVE = {
    "success_rate": "share of the lookups that ended in the last `over` seconds which found something; from five on",
    "availability": "share of the overlay's peers (of all, without `of`) that are up",
    "reach": "largest share of the peers that are up which a broadcast message has been delivered to",
    "lookups": "lookups that have ended",
    "downloads": "downloads that have ended as they should",
    "broadcasts": "messages that have been sent to all",
    "messages_per_s": "traced messages sent in the last `over` seconds",
}
Compare = Literal[">=", "<=", ">", "<"]
_FORM = re.compile(
    r"(?P<metric>\w+)(?:\s+of\s+(?P<of>[\w-]+))?(?:\s+over\s+(?P<over>[^<>=]+?))?"
    r"\s*(?P<compare>>=|<=|>|<)\s*(?P<level>\d+(?:\.\d+)?)\s*(?P<percent>%)?"
)


class Compared(NamedTuple):
    """A live metric, of an overlay or of all peers, and the level that it is to pass."""

    metric: str
    overlay: str | None
    compare: Compare
    level: float
    over_s: float


def compared(text: object) -> Compared:
    """Raises ValueError with what is allowed."""
    if isinstance(text, Compared):
        return text
    match = _FORM.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is no condition; write a metric, >=, <=, > or <, and a number: 'reach >= 0.5'")
    if match["metric"] not in LIVE:
        raise ValueError(f"there is no live metric {match['metric']!r}; there are {', '.join(LIVE)}")
    over_s = duration_s(match["over"]) if match["over"] else OVER_S
    if over_s <= 0:
        raise ValueError("'over' must be above 0 s")
    level = float(match["level"]) / (100 if match["percent"] else 1)
    return Compared(match["metric"], match["of"], cast("Compare", match["compare"]), level, over_s)


Comparison = Annotated[
    Compared, BeforeValidator(compared), WithJsonSchema({"type": "string", "examples": ["success_rate of dht < 0.5"]})
]
