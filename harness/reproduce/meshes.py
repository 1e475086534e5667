"""Meshes of gossip peers at a moment, out of what they said to each other."""

from __future__ import annotations

from harness.analysis.dataset import Dataset

Meshes = dict[str, set[str]]


def meshes_at(data: Dataset, overlay: str, t_s: float) -> Meshes:
    """Peer -> its partners in the mesh, where no neighbour went away before.

    A graft puts its two ends into each other's mesh; a prune, which may answer it at once, takes them out.
    """
    meshes: Meshes = {peer.name: set() for peer in data.plan.peers if peer.overlay == overlay}
    table = data.messages
    said = table[table["kind"].isin(("graft", "prune")) & (table["overlay"] == overlay) & (table["t_s"] <= t_s)]
    for peer, other, kind in zip(said["peer"], said["remote_peer"], said["kind"], strict=True):
        if kind == "graft":
            meshes[peer].add(other)
        else:
            meshes[peer].discard(other)
    return meshes


def edges(meshes: Meshes) -> int:
    """Pairs of whom at least one has the other in its mesh."""
    return len({frozenset((one, other)) for one, mesh in meshes.items() for other in mesh})
