"""A swarm's presence at trackers and in the DHT: announced, kept up, and used to learn of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from peers.core import Address, Command
from peers.tracker.asking import Question
from peers.wire.tracker import Announce, Announced, Event, Failure

if TYPE_CHECKING:
    from peers.bittorrent.peer import Peer
    from peers.bittorrent.swarm import Swarm

SEARCH_AGAIN_S = 2.0  # doubling: in a swarm that starts at once everybody looks before anybody has announced himself
ALONE_S = 5.0  # who wants something and knows nobody asks again after so long
MIN_INTERVAL_S = 1.0  # whatever a tracker says

Told = Callable[[dict[str, Any]], None]  # the outcome of an announcement, as fields of op_end
Done = Callable[[Question, Announced | Failure], None]


class Presence:
    """Of one swarm. `told` is called once, with the outcome of the first announcement after it was given."""

    def __init__(self, peer: Peer, swarm: Swarm) -> None:
        self._peer, self._swarm = peer, swarm
        self._listed = False  # at a tracker
        self._tracker_at = self._dht_at = peer.now
        self._search_again_s = SEARCH_AGAIN_S
        self._searching = False
        self._waiting: list[tuple[str, Told]] = []
        self._completed = False  # to be told

    def begin(self, op: str = "", told: Told | None = None) -> None:
        if told is not None:
            self._waiting.append((op, told))
        self._tracker_at = self._dht_at = self._peer.now
        self.tick()

    def completed(self) -> None:
        self._completed = True
        self._tracker_at = self._peer.now
        self.tick()

    def tick(self) -> None:
        """Announce what is due."""
        peer = self._peer
        if peer.tracker is not None and peer.now >= self._tracker_at:
            self._tracker_at = float("inf")  # until the answer
            self._announce("completed" if self._completed and self._listed else "" if self._listed else "started")
            self._completed = False
        if peer.dht is not None and peer.dht.ready and peer.now >= self._dht_at and not self._searching:
            self._searching = True
            args = {"info_hash": int.from_bytes(self._swarm.info_hash, "big"), "announce": True}
            peer.dht.handle(peer.now, Command(self._op(), "get_peers", args | {"done": self._on_found}))

    def end(self, gone: Callable[[], None] | None = None) -> None:
        """A tracker is told where that works at once, then `gone` is called; the DHT forgets by itself."""
        if self._listed:
            self._listed = False
            self._announce("stopped", (lambda *_: gone()) if gone else _ignore)
        elif gone:
            gone()
        self._tracker_at = self._dht_at = float("inf")

    def _op(self) -> str:
        return self._waiting[0][0] if self._waiting else ""

    def _announce(self, event: Event, done: Done | None = None) -> None:
        peer, swarm = self._peer, self._swarm
        assert peer.tracker is not None
        received = swarm.downloads.received_bytes if swarm.downloads else 0
        wanted = peer.options.numwant if swarm.wants else 0
        announce = Announce(
            swarm.info_hash, peer.peer_id, peer.address.port, swarm.uploaded, received, swarm.left_bytes, event, wanted
        )
        args = {"announce": announce, "done": done or self._on_tracker}
        peer.tracker.handle(peer.now, Command(self._op(), "announce", args))

    def _on_tracker(self, question: Question, answer: Announced | Failure) -> None:
        o = self._peer.options
        if isinstance(answer, Announced):
            self._listed = True
            self._learn([each.address for each in answer.peers])
            again_s = min(o.announce_s, max(answer.interval_s, MIN_INTERVAL_S))
            outcome: dict[str, Any] = {"ok": True, "seeders": answer.seeders, "leechers": answer.leechers, "hops": 1}
        else:
            self._listed, again_s = False, ALONE_S
            outcome = {"ok": False, "reason": answer.text}
        alone = self._swarm.wants and not self._swarm.links and not self._swarm.dialling
        self._tracker_at = self._peer.now if self._completed else self._peer.now + (ALONE_S if alone else again_s)
        self._tell(outcome)

    def _on_found(self, providers: list[Address], hops: int, stored: int) -> None:
        self._searching = False
        self._learn(providers)
        usual_s = self._peer.options.republish_s
        self._dht_at = self._peer.now + (min(self._search_again_s, usual_s) if self._swarm.wants else usual_s)
        self._search_again_s *= 2
        if self._peer.tracker is None:
            why = {} if stored else {"reason": "no node took the announcement"}
            self._tell({"ok": stored > 0, "stored": stored, "hops": hops} | why)

    def _learn(self, addresses: list[Address]) -> None:
        for address in addresses:
            self._swarm.candidates.learn(address)
        self._swarm.dial()

    def _tell(self, outcome: dict[str, Any]) -> None:
        waiting, self._waiting = self._waiting, []
        for _, told in waiting:
            told(outcome)


def _ignore(question: Question, answer: Announced | Failure) -> None:
    """Of a goodbye."""
