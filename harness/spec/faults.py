"""Entries under `faults:`, one class for what each verb takes; docs/faults.md shows them all with an example."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from harness.spec.base import Direction, Selector, Strict, When
from harness.spec.condition import Comparison
from harness.spec.units import Hertz, Percent, RateDraw, Seconds, SecondsDraw


class Partition(Strict):
    """Hosts that cannot reach each other: named groups (`direction` "a -> b" drops one way only), or a shape."""

    groups: dict[str, Selector] | None = Field(None, min_length=2)
    direction: str = "both"
    shape: Literal["halves", "third", "minority", "bridge", "ring_of_majorities"] | None = Field(
        None, description="groups drawn from the seed"
    )
    of: Selector = Field(["all"], description="the hosts that a shape divides")

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Partition:
        if (self.groups is None) == (self.shape is None):
            raise ValueError("a partition needs either 'groups' or 'shape'")
        if self.shape is not None and self.direction != "both":
            raise ValueError("'direction' goes with 'groups'; shapes cut both ways")
        if self.groups is not None and "of" in self.model_fields_set:
            raise ValueError("'of' goes with 'shape'; groups name their hosts")
        return self


class Degrade(Direction):
    """A link with new impairments; those that are not named stay as they are."""

    link: Selector
    direction: Literal["both", "up", "down"] = "both"


class PeerTarget(Strict):
    """Peers by name, overlay, overlay/role, host or label; all peers on some hosts; or hosts with their links."""

    peers: Selector | None = None
    on: Selector | None = None
    hosts: Selector | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"peers": data} if isinstance(data, (str, list)) else data

    @model_validator(mode="after")
    def _one(self) -> PeerTarget:
        if sum(target is not None for target in (self.peers, self.on, self.hosts)) != 1:
            raise ValueError("name either 'peers', or 'on' (all peers on those hosts), or 'hosts' (peers and links)")
        return self


class Revival(PeerTarget):
    """Peers or hosts that are started again, with what they had on disk or without."""

    disk: Literal["keep", "lost"] = "keep"


class Flap(Strict):
    """Links that go down and come up again and again."""

    link: Selector
    down: Seconds = Field(ge=0.5, description="how long they are down each time; at least 0.5 s, to be proven")
    up: Seconds = Field(ge=0.5, description="how long they are up in between; at least 0.5 s")


class Churn(Strict):
    """Peers that leave and come back, each for itself, with drawn times or as a trace file says."""

    peers: Selector
    session: SecondsDraw | None = Field(None, description="how long a peer stays: exponential(60 s), ...")
    offline: SecondsDraw | None = Field(None, description="how long it is away: weibull(0.5, 20 s), ...")
    trace: str | None = Field(
        None, description="a CSV file with columns t_s, peer (a number from 1), change (down, up)"
    )
    how: Literal["crash", "stop"] = "crash"
    disk: Literal["keep", "lost"] = "keep"

    @model_validator(mode="after")
    def _drawn_or_traced(self) -> Churn:
        drawn = (self.session is not None, self.offline is not None)
        if (self.trace is not None and any(drawn)) or (self.trace is None and not all(drawn)):
            raise ValueError("churn needs 'session' and 'offline', or a 'trace' file instead of both")
        return self


class Arrive(Strict):
    """Peers that are not started with the others but come later, as a flash crowd."""

    peers: Selector
    rate: Hertz | None = Field(None, gt=0, description="with 'at': one after another, a Poisson process")


class Cap(Strict):
    """Hosts whose links carry no more than so much, in both directions: the weakest of the network."""

    hosts: Selector
    rate: RateDraw


class Throttle(PeerTarget):
    """Peers on the weakest hardware: so much of one processor, by the time that the system counts."""

    cpu: Percent = Field(gt=0, description="of one processor")


class Overload(Strict):
    """Hosts that send a victim more than it can take: UDP packets at a rate each."""

    from_: Selector = Field(alias="from")
    to: str = Field(description="one host")
    rate: RateDraw = Field(description="of each sender, headers included")


class Hook(Strict):
    """A function of a Python file beside the spec, which returns faults (docs/faults.md)."""

    call: str = Field(pattern=r"^[A-Za-z_]\w*:[A-Za-z_]\w*$", description="module:function")
    timeout: Seconds = Field(2.0, gt=0, description="a call that takes longer has failed")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"call": data} if isinstance(data, str) else data


class FaultEntry(When):
    """One fault. With `from` and `to` it is undone at `to`: links come up, groups heal, peers are started again."""

    VERBS: ClassVar[tuple[str, ...]] = (
        "link_down", "link_up", "flap", "isolate", "partition", "degrade", "cap", "overload", "outage", "crash", "stop",
        "pause", "resume", "restart", "disk_full", "throttle", "churn", "arrive", "hook",
    )  # fmt: skip
    link_down: Selector | None = Field(None, description="links by name or class: nothing passes")
    link_up: Selector | None = Field(None, description="links that were down")
    flap: Flap | None = Field(None, description="links that go down and come up again and again")
    isolate: Selector | None = Field(None, description="hosts cut off from all others")
    partition: Partition | None = Field(None, description="groups of hosts that cannot reach each other, or a shape")
    degrade: Degrade | None = Field(None, description="links with more delay, loss, ... than before")
    cap: Cap | None = Field(None, description="hosts whose links carry no more than a rate")
    overload: Overload | None = Field(None, description="a flood of packets from some hosts to one")
    outage: Selector | None = Field(None, description="a region: its hosts crash, with their peers and links")
    crash: Revival | None = Field(None, description="peers (or hosts) that end at once, by SIGKILL")
    stop: Revival | None = Field(None, description="peers (or hosts) that end in order, by SIGTERM")
    pause: PeerTarget | None = Field(None, description="peers that stand still, by SIGSTOP")
    resume: PeerTarget | None = Field(None, description="peers that were paused")
    restart: Revival | None = Field(None, description="peers (or hosts) that are started again")
    disk_full: PeerTarget | None = Field(None, description="peers whose every write to a file fails")
    throttle: Throttle | None = Field(None, description="peers that get no more than a share of one processor")
    churn: Churn | None = Field(None, description="peers that leave and come back all the time")
    arrive: Arrive | None = Field(None, description="peers that are not there from the start: a flash crowd")
    hook: Hook | None = Field(None, description="a Python function that decides on faults while the run goes on")
    every: Seconds | None = Field(None, gt=0, description="with 'from' (and 'to'): again and again, drawn anew")
    lasting: Seconds | None = Field(None, gt=0, description="with 'every' or 'when': how long it lasts each time")
    when: Comparison | None = Field(None, description="a condition: success_rate of dht < 0.5; looked for from 'at' on")
    within: Seconds | None = Field(None, gt=0, description="with 'when': how long after 'at' it is looked for")
    otherwise: Literal["invalid", "skip", "apply"] = Field(
        "invalid", description="with 'when': what becomes of the run, or the fault, when it does not come true"
    )
    label: str | None = Field(None, description="how figures name this fault")

    @property
    def start(self) -> float:
        return self.at if self.at is not None else self.from_ or 0.0

    @model_validator(mode="before")
    @classmethod
    def _from_the_start(cls, data: Any) -> Any:
        """A condition without a time is looked for from the start."""
        return {"at": 0, **data} if isinstance(data, dict) and "when" in data and "from" not in data else data

    @model_validator(mode="after")
    def _condition_fits(self) -> FaultEntry:
        if self.when is None:
            if self.within is not None or "otherwise" in self.model_fields_set:
                raise ValueError("'within' and 'otherwise' go with 'when'")
            return self
        if self.at is None or self.every is not None:
            raise ValueError("'when' goes with 'at' (looked for from then on), 'within' and 'lasting'")
        if self.verb in ("link_up", "resume", "restart", "flap", "churn", "arrive"):
            raise ValueError(f"'when' does not go with {self.verb}; give the fault before it a 'when' and 'lasting'")
        return self

    @model_validator(mode="after")
    def _times_fit(self) -> FaultEntry:
        if self.every is not None and (self.from_ is None or self.verb in ("flap", "churn", "arrive")):
            why = "goes with 'from'" if self.from_ is None else f"does not go with {self.verb}, which repeats by itself"
            raise ValueError(f"'every' {why}")
        if self.lasting is not None and self.when is None and (self.every is None or self.lasting >= self.every):
            raise ValueError("'lasting' goes with 'when', or with 'every' and is shorter")
        if self.verb in ("flap", "churn") and self.from_ is None:
            raise ValueError(f"{self.verb} goes on for a while: say 'from' (and 'to')")
        if self.arrive is not None:
            self._arrivals_fit(self.arrive)
        return self

    def _arrivals_fit(self, arrive: Arrive) -> None:
        if self.at is None and (arrive.rate is not None or self.to is None):
            raise ValueError(
                "say when peers arrive: 'at' (all at once, or with 'rate'), or evenly within 'from' .. 'to'"
            )
