"""The entry of `faults:` that is being compiled: when it comes, how long there is for proofs, and whom it means."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import SpecError
from harness.plan.claims import Claims
from harness.plan.families import Addresses
from harness.plan.impairing import Room, Standing
from harness.plan.model import PeerPlan
from harness.plan.seeds import stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.plan.witnesses import Witnesses
from harness.spec.faults import FaultEntry, PeerTarget
from harness.spec.load import Document
from topologies.model import Topology


class Entry:
    """One entry at a time; `begin` says which, and when it happens."""

    def __init__(
        self, seed: int, document: Document, topology: Topology, peers: Sequence[PeerPlan], hosts: Universe,
        universes: tuple[Universe, Universe], addresses: Addresses, witnesses: Witnesses, claims: Claims,
        duration_s: float,
    ) -> None:  # fmt: skip
        self.seed, self.document, self.topology, self.hosts = seed, document, topology, hosts
        self.addresses, self.witnesses, self.claims = addresses, witnesses, claims
        self.peers = {peer.name: peer for peer in peers}
        self.peer_universe, self.link_universe = universes
        self.standing = Standing(topology)
        self.duration_s = duration_s

    def begin(
        self, name: str, index: int, number: int, entry: FaultEntry, moment: float, end: float | None = None
    ) -> None:
        """`end`: when it is undone, at the latest."""
        self.name, self.moment = name, moment
        self.lasts_for_good = end is None and entry.when is None
        left_s = self.duration_s - moment
        lasts_s = entry.lasting if entry.when is not None else None if end is None else end - moment
        self.room = Room(left_s if lasts_s is None else lasts_s, left_s)
        self.undo_room = None if end is None else Room(self.duration_s - end, self.duration_s - end)
        self.place: tuple[str | int, ...] = ("faults", index, entry.verb)
        self.rng = stream(self.seed, "fault", index, *([number] if number else []))

    def fail(self, message: str, *more: str) -> SpecError:
        return self.document.fail((*self.place, *more), message)

    def select(self, selectors: Sequence[str], universe: Universe, *more: str) -> tuple[str, ...]:
        try:
            return select(selectors, universe, self.rng)
        except SelectionError as error:
            raise self.fail(str(error), *more) from error

    # ---- whom ----

    def _targets(self, spec: PeerTarget) -> tuple[list[str], list[str]]:
        """The living peers and the hosts that a fault is aimed at."""
        if spec.hosts is not None:
            hosts = self.select(spec.hosts, self.hosts, "hosts")
            return [name for name, peer in self.peers.items() if peer.host in hosts], list(hosts)
        if spec.on is not None:
            on = self.select(spec.on, self.hosts, "on")
            return [name for name, peer in self.peers.items() if peer.host in on and name not in self._gone()], []
        assert spec.peers is not None
        return self.living(spec.peers), []

    def living(self, selectors: Sequence[str]) -> list[str]:
        """Peers that run at the moment."""
        gone = self._gone()
        for selector in selectors:
            if selector in gone:
                raise self.fail(f"peer {selector!r} is already down since fault {gone[selector]}")
        return list(self.select(selectors, self.peer_universe.without(gone)))

    def _gone(self) -> dict[str, str]:
        held = {name: self.claims.holder(("peer", name), self.moment) for name in self.peers}
        return {name: span.fault for name, span in held.items() if span is not None}

    def _paused(self) -> list[str]:
        return [name for name in self.peers if self.claims.holder(("paused", name), self.moment)]

    def _links_of(self, hosts: Sequence[str]) -> list[str]:
        return [link.name for link in self.topology.links if link.a in hosts or link.b in hosts]
