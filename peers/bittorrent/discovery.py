"""Who else is in a swarm: asked of trackers and of the DHT by the clients of both, which live inside the peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peers.core import Address, Setting
from peers.dht.node import Node
from peers.dht.search import Search
from peers.tracker.client import Client, ClientOptions
from peers.wire.krpc import AnnouncePeer, GetPeers, Ping, Response

Found = Callable[[list[Address], int, int], None]  # providers, hops, nodes that took the announcement


class Announcer(Client):
    """A client of trackers that announces what it is told to."""

    def __init__(self, setting: Setting, options: ClientOptions, peer_id: bytes) -> None:
        super().__init__(setting, options)
        self.peer_id = peer_id

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        """Only `announce {announce, done}`, which comes from the peer around it."""
        self._ask(op or None, args["announce"], args["done"])


class SwarmNode(Node):
    """A DHT node that finds peers by info_hash, and announces the one around it."""

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        """`ping {address}`, or `get_peers {info_hash, announce, done}`: to be announced needs no command of its own,
        because the tokens for it come with the search."""
        if verb == "ping":
            self.rpcs.ask(args["address"], None, Ping(self.id), lambda _: None)
            return
        target: int = args["info_hash"]
        found: Found = args["done"]

        def done(search: Search) -> None:
            here = [each for each in self.storage.providers(target, self.now) if each != self.address]
            providers = list(dict.fromkeys([*here, *(each for each in search.providers if each != self.address)]))
            hops = 0 if here else search.hops or 0
            if args["announce"]:
                self._announce_to(search, target, op or None, lambda stored: found(providers, hops, stored))
            else:
                found(providers, hops, 0)

        self.search(GetPeers(self.id, target), done, op or None)

    def _announce_to(self, search: Search, target: int, op: str | None, done: Callable[[int], None]) -> None:
        keepers = [each.node for each in search.lookup.closest if each.node.id in search.tokens]
        answers: list[bool] = []

        def answered(response: Response | None) -> None:
            answers.append(response is not None)
            if len(answers) == len(keepers):
                done(sum(answers))

        if not keepers:
            done(0)
        for keeper in keepers:
            query = AnnouncePeer(self.id, target, self.address.port, search.tokens[keeper.id])
            self.rpcs.ask(keeper.address, keeper.id, query, answered, op)
