"""What parts of the document share: strictness, selectors, impairments of a direction, and moments on the timeline."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from harness.spec.units import DelayDraw, LossDraw, Percent, RateDraw, Seconds


def _names(value: object) -> object:
    return [value] if isinstance(value, str) else value


Selector = Annotated[list[str], BeforeValidator(_names)]  # see harness/plan/selectors.py for the language


class Strict(BaseModel):
    """Base of all parts: refuses unknown keys; `harness.spec.load` says which are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Burst(Strict):
    """Losses in runs: a share of all packets, lost `packets` in a row on average (a Gilbert model)."""

    share: LossDraw
    packets: float = Field(ge=1)


class Direction(Strict):
    """What one direction of a link does to packets; what is absent comes from the link's preset."""

    delay: DelayDraw | None = None
    jitter: DelayDraw | None = None
    jitter_distribution: Literal["normal", "uniform", "pareto", "paretonormal"] | None = None
    loss: LossDraw | Burst | None = None
    rate: RateDraw | None = None
    queue: str | None = Field(None, description='what waits before the rate limit: "64 KiB", "100 packets" or "50 ms"')
    reorder: Percent | None = None
    duplicate: Percent | None = None
    corrupt: Percent | None = None


class When(Strict):
    """Base of entries on the timeline: exactly one verb, and `at` or `from` .. `to`."""

    VERBS: ClassVar[tuple[str, ...]] = ()
    at: Seconds | None = None
    from_: Seconds | None = Field(None, alias="from")
    to: Seconds | None = None

    @property
    def verb(self) -> str:
        return next(verb for verb in self.VERBS if getattr(self, verb) is not None)

    @model_validator(mode="after")
    def _one_verb(self) -> When:
        given = [verb for verb in self.VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"exactly one verb is needed, found {found}; verbs: {', '.join(self.VERBS)}")
        if (self.at is None) == (self.from_ is None):
            raise ValueError("say when: either 'at', or 'from' with 'to'")
        if self.to is not None and self.from_ is None:
            raise ValueError("'to' goes with 'from', not with 'at'")
        if self.to is not None and self.from_ is not None and self.to <= self.from_:
            raise ValueError("'to' must be later than 'from'")
        return self
