"""The answer to `dump`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peers.bittorrent.discovery import SwarmNode
from peers.bittorrent.link import Link
from peers.bittorrent.swarm import Swarm

if TYPE_CHECKING:
    from peers.bittorrent.peer import Peer


def state_of(peer: Peer) -> dict[str, Any]:
    node = peer.dht.core if peer.dht is not None else None
    return {
        "peer_id": peer.peer_id.hex(),
        "swarms": [_swarm(swarm, peer.now) for swarm in peer.swarms.values()],
        "dht": node.state() if isinstance(node, SwarmNode) else None,
    }


def _swarm(swarm: Swarm, now: float) -> dict[str, Any]:
    pieces, downloads = swarm.pieces, swarm.downloads
    return {
        "item": swarm.item,
        "info_hash": swarm.info_hash.hex(),
        "have": len(pieces.have) - pieces.missing if pieces else 0,
        "pieces": len(pieces.have) if pieces else None,
        "begun": len(downloads.picker.partials) if downloads else 0,
        "uploaded": swarm.uploaded,
        "received": downloads.received_bytes if downloads else 0,
        "wasted": downloads.wasted_bytes if downloads else 0,
        "bad_pieces": downloads.bad_pieces if downloads else 0,
        "blame": dict(downloads.blame) if downloads else {},
        "banned": sorted(swarm.banned),
        "known": len(swarm.candidates),
        "links": [_link(link, now) for link in swarm.links.values()],
    }


def _link(link: Link, now: float) -> dict[str, Any]:
    return {
        "remote": str(link.name),
        "has": sum(link.has),
        "choking": link.choking,
        "choked": link.choked,
        "interested": link.interested,
        "wanted": link.wanted,
        "snubbed": link.snubbed,
        "asked": len(link.asked),
        "uploads": len(link.uploads),
        "down_bytes_per_s": round(link.down.bytes_per_s(now)),
        "up_bytes_per_s": round(link.up.bytes_per_s(now)),
    }
