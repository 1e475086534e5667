"""Operations in the order of time, each asked of every overlay alike: the commands of the timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.plan.draws import Draw, Holders, Operation
from harness.plan.items import item_names
from harness.plan.model import PeerPlan, Step
from harness.plan.overlays import core_of
from harness.plan.seeds import stream
from harness.plan.selectors import Universe
from harness.spec.load import Document
from harness.spec.model import Spec


def steps(spec: Spec, document: Document, hosts: Universe, peers: Sequence[PeerPlan]) -> list[Step]:
    """The commands of all entries, numbered in order of time: op "17.dht" is number 17 asked of overlay dht."""
    drawn: list[tuple[Operation, tuple[str, ...]]] = []
    holders: Holders = {}
    serving = _serving(peers)
    items = item_names(spec.items.count)
    for index, entry in enumerate(spec.workload):
        rng = stream(spec.seed, "workload", index)
        draw = Draw(spec, entry, document, ("workload", index), items, hosts, rng, serving)
        drawn.extend((operation, draw.overlays) for operation in draw.operations(holders))
    drawn.sort(key=lambda pair: pair[0].t_s)
    return [
        Step(operation.t_s, "command", peer, f"{number}.{overlay}", operation.verb, _args(operation, number))
        for number, (operation, overlays) in enumerate(drawn, 1)
        for overlay in overlays
        if (peer := serving.get((overlay, operation.host, operation.verb)))
    ]


def _args(operation: Operation, number: int) -> dict[str, Any]:
    """What a peer is told: the item (messages are named after the operation's number) and its size if it has one."""
    size = {"size_bytes": operation.size_bytes} if operation.size_bytes else {}
    return {"item": operation.item or f"msg{number}", **size}


def _serving(peers: Sequence[PeerPlan]) -> Mapping[tuple[str, str, str], str]:
    """(overlay, host, verb) -> the first peer there that understands the verb."""
    serving: dict[tuple[str, str, str], str] = {}
    for peer in peers:
        for verb in peer.command.served if peer.command else core_of(peer).verbs:
            serving.setdefault((peer.overlay, peer.host, verb), peer.name)
    return serving
