"""The experiment document as Pydantic models: what keys there are, what form their values have, what they default to.

Unknown keys are refused everywhere. Quantities carry their unit in the document and lose it here: `_s` seconds,
`_ms` milliseconds, `_pct` percent, `_mbit` megabit per second, `_hz` per second, `_bytes`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.spec.base import Direction, Selector, Strict, When
from harness.spec.command import PeerCommand
from harness.spec.faults import FaultEntry
from harness.spec.network import Network
from harness.spec.units import Bytes, Hertz, Milliseconds, Seconds

# ---- the network ----


class LinkClass(Direction):
    """How good the links of one class are: a preset, changes to both directions, changes to one."""

    preset: str | None = None
    up: Direction | None = Field(None, description="from the link's a to its b end; on access links from the host")
    down: Direction | None = Field(None, description="from b to a; on access links towards the host")
    delay_per_km: Milliseconds | None = Field(None, description="added per km where the topology knows distances")


class Topology(BaseModel):
    """A generator (see `harness list topologies`) and its parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    generator: str


# ---- the peers ----


class PeerGroup(Strict):
    """Some hosts that run one peer each, in one role."""

    on: Selector
    role: str | None = None
    options: dict[str, Any] = {}
    command: PeerCommand | None = Field(None, description="a program of others instead of a peer of ours")
    expected_final_state: Literal["running", "exited", "any"] = "running"


class Graph(BaseModel):
    """A generator of overlay graphs (see `harness list graphs`) and its parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    generator: str


class Overlay(Strict):
    """Peers of one protocol that know each other."""

    protocol: str
    peers: list[PeerGroup]
    port: int | None = Field(None, ge=1, le=65535)
    graph: Graph | None = None
    bootstraps: int = Field(2, ge=1, description="how many earlier peers a new one is told of")
    options: dict[str, Any] = {}
    trace: bool = True

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`peers: all` stands for `peers: [{on: all}]`."""
        if isinstance(data, dict):
            peers = data.get("peers")
            if isinstance(peers, str) or (isinstance(peers, list) and all(isinstance(p, str) for p in peers)):
                return {**data, "peers": [{"on": peers}]}
            if isinstance(peers, dict):
                return {**data, "peers": [peers]}
        return data


# ---- what happens ----


class Publish(Strict):
    """Every item is published by `copies` different hosts, or by so many in the mean, more for popular items."""

    copies: int = Field(1, ge=1)
    by: Selector = ["all"]
    allocation: Literal["uniform", "proportional", "square_root"] = Field(
        "uniform", description="copies of an item: of all alike, or in the proportion of (the root of) its popularity"
    )
    popularity: str | None = Field(None, description="with 'allocation': as of lookups, zipf(1.2)")

    @model_validator(mode="after")
    def _by_popularity(self) -> Publish:
        if (self.allocation == "uniform") != (self.popularity is None):
            raise ValueError("'allocation' proportional or square_root goes with a 'popularity', and only they do")
        return self


class Lookup(Strict):
    """Hosts ask for items: `popularity` is "uniform" or "zipf(s)", item rank by number."""

    by: Selector = ["all"]
    popularity: str = "uniform"


class Download(Strict):
    """Hosts fetch items that they do not hold; `each`: every host every item, once."""

    by: Selector = ["all"]
    popularity: str = "uniform"
    each: bool = False


class Broadcast(Strict):
    """Hosts send messages of `size` to all peers."""

    by: Selector = ["all"]
    size: Bytes = 1000


class Workload(When):
    """Operations, asked of every overlay alike: `rate` is a Poisson process, `count` spreads that many evenly."""

    VERBS: ClassVar[tuple[str, ...]] = ("publish", "lookup", "download", "broadcast")
    publish: Publish | None = None
    lookup: Lookup | None = None
    download: Download | None = None
    broadcast: Broadcast | None = None
    rate: Hertz | None = None
    count: int | None = Field(None, ge=1)
    overlays: Selector | None = None

    @property
    def by(self) -> list[str]:
        """The hosts that operate."""
        return next(part.by for part in (self.publish, self.lookup, self.download, self.broadcast) if part)


class Capture(Strict):
    """Which nodes' frames are recorded; "none" records nothing."""

    at: Selector = ["hosts"]
    snap: Bytes = 1600  # whole frames: several messages share a segment after every stall
    filter: str = ""


class Expect(Strict):
    """A metric of one overlay in a window must lie within bounds.

    `every: 5 s` asks it of each stretch of 5 s within the window; `samples: 20` leaves it undecided where fewer than 20
    lookups (downloads, broadcasts, blocks: what the metric is about) were measured.
    """

    metric: str
    of: str | None = None
    from_: Seconds | None = Field(None, alias="from")
    to: Seconds | None = None
    every: Seconds | None = Field(None, gt=0)
    samples: int | None = Field(None, ge=1)
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Expect:
        if self.at_least is None and self.at_most is None:
            raise ValueError("an expectation needs 'at_least' or 'at_most' (or both)")
        return self


class Items(Strict):
    """What is published, looked up and downloaded: how many, and how large each is (downloads need a size)."""

    count: int = Field(ge=0)
    size: Bytes | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`items: 20` stands for `items: {count: 20}`."""
        return data if isinstance(data, dict) else {"count": data}


class Sweep(Strict):
    """What is varied from run to run: every combination of the grid, for each row of `paired` and each variant."""

    grid: dict[str, list[Any]] = Field({}, description="path in this document: its values")
    paired: list[dict[str, Any]] = Field([], description="rows of {path: value} that are set together")
    variants: dict[str, dict[str, Any]] = Field(
        {}, description="name: {path: value}; the first is what others are held against"
    )
    metrics: list[str] = Field([], description="what tables and figures show first; see `harness list metrics`")
    together: list[str] = Field(
        [], description="metrics of the same unit that share one figure, drawn before the others"
    )

    @model_validator(mode="after")
    def _something(self) -> Sweep:
        if not (self.grid or self.paired or self.variants):
            raise ValueError("a sweep needs 'grid', 'paired' or 'variants'")
        empty = [path for path, values in self.grid.items() if not values]
        if empty:
            raise ValueError(f"there is no value to try for {', '.join(empty)}")
        return self


class Spec(Strict):
    """A whole experiment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    description: str = ""
    seed: int = 1
    duration: Seconds
    topology: Topology
    links: dict[str, LinkClass] = {}
    network: Network = Field(default_factory=lambda: Network.model_validate({}))
    overlays: dict[str, Overlay] = Field(min_length=1)
    items: Items = Field(default_factory=lambda: Items(count=0))
    workload: list[Workload] = []
    faults: list[FaultEntry] = []
    capture: Capture | Literal["none"] = Field(default_factory=lambda: Capture.model_validate({}))
    expect: list[Expect] = []
    ready_timeout: Seconds = 30.0
    repeat: int = Field(
        1, ge=1, description="how often `harness sweep` runs each variant, with seeds one after another"
    )
    sweep: Sweep | None = None

    @field_validator("duration")
    @classmethod
    def _lasting(cls, duration_s: float) -> float:
        if duration_s == 0:
            raise ValueError("a run of 0 s measures nothing")
        return duration_s
