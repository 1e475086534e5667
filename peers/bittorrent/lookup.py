"""The command `lookup`: who is in a swarm, without taking part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peers.core import Address, Command
from peers.tracker.asking import Question, ignore
from peers.wire.tracker import Announce, Announced, Event, Failure

if TYPE_CHECKING:
    from peers.bittorrent.peer import Peer


class Lookup:
    """Asks the tracker, then the DHT, as far as the peer uses them; ends with the first that names somebody.

    A tracker is asked like a newcomer asks, and told at once that it left again. Where it counts no seed, nobody has
    the whole, whoever is listed.
    """

    def __init__(self, peer: Peer, op: str, item: str, info_hash: bytes) -> None:
        self._peer, self._op, self._item, self._info_hash = peer, op, item, info_hash

    def begin(self) -> None:
        swarm = self._peer.swarms.get(self._info_hash)
        if swarm is not None and swarm.complete:
            self._end([self._peer.address], 0, "")
        elif self._peer.tracker is not None:
            self._announce("" if swarm else "started", self._on_answer, self._peer.options.numwant)
        else:
            self._search()

    def _announce(self, event: Event, done: Any, numwant: int) -> None:
        peer = self._peer
        assert peer.tracker is not None
        swarm = peer.swarms.get(self._info_hash)
        left = swarm.left_bytes if swarm else 1
        announce = Announce(self._info_hash, peer.peer_id, peer.address.port, left=left, event=event, numwant=numwant)
        peer.tracker.handle(peer.now, Command(self._op, "announce", {"announce": announce, "done": done}))

    def _on_answer(self, question: Question, answer: Announced | Failure) -> None:
        if isinstance(answer, Failure):
            self._not_found(answer.text)
            return
        if self._info_hash not in self._peer.swarms:
            self._announce("stopped", ignore, 0)
        others = [each.address for each in answer.peers if each.address != self._peer.address]
        if answer.seeders and others:
            self._end(others, 1, "")
        else:
            self._not_found("not found")

    def _not_found(self, reason: str) -> None:
        if self._peer.dht is not None:
            self._search()
        else:
            self._end([], 1, reason)

    def _search(self) -> None:
        args = {"info_hash": int.from_bytes(self._info_hash, "big"), "announce": False}
        assert self._peer.dht is not None
        self._peer.dht.handle(self._peer.now, Command(self._op, "get_peers", args | {"done": self._on_found}))

    def _on_found(self, providers: list[Address], hops: int, _stored: int) -> None:
        self._end(providers, hops, "not found")

    def _end(self, providers: list[Address], hops: int, reason: str) -> None:
        why = {} if providers else {"reason": reason}
        named = [str(address) for address in providers]
        self._peer.end(self._op, "lookup", self._item, ok=bool(named), providers=named, hops=hops, **why)
