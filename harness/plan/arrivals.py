"""Peers that come later than the others: they dial, for who was there before could not have known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.plan.addressing import family_of
from harness.plan.model import PeerPlan


def with_arrivals(peers: Sequence[PeerPlan], arriving: Mapping[str, float]) -> tuple[PeerPlan, ...]:
    """Peers with `arrives` set; overlay links between peers of one role are dialled by the one that comes later.

    Programs of others are told what they are told by their own command line: that stays.
    """
    if not arriving:
        return tuple(peers)
    at = {listen: peer for peer in peers for listen in peer.listens}
    told = {peer.name: list(peer.bootstrap) for peer in peers}
    for peer in peers:
        for listen in peer.bootstrap:
            other = at.get(listen)
            if other is None or other.role != peer.role or peer.command is not None or other.command is not None:
                continue
            if arriving.get(other.name, -1.0) > arriving.get(peer.name, -1.0):
                told[peer.name].remove(listen)
                mine = next(own for own in peer.listens if family_of(own) == family_of(listen))
                if mine not in told[other.name]:
                    told[other.name].append(mine)
    return tuple(replace(p, bootstrap=tuple(told[p.name]), arrives=p.name in arriving) for p in peers)
