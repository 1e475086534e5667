"""More hosts than the neighbours: addresses from Pongs and refusals, and as many neighbours as are wanted."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from peers.core import Address, Setting
from peers.flooding.greetings import Neighbour
from peers.flooding.neighbours import NeighbourCore
from peers.flooding.options import PROBE, Options
from peers.flooding.routes import OWN, Routes
from peers.wire.gnutella import PING, Descriptor

FIRST_LOOK_S = 1.0  # after the start, so that a few neighbours are there to be asked; drawn from 0.2 to 1 of it
FILL_S = 0.5  # after a failure, before other hosts are dialled
MAX_PAUSE = 16  # times `discover_s`, between Pings that bring nothing new


class HostCache:
    """Addresses where servents listen, as far as is known; beyond its capacity the oldest are forgotten."""

    def __init__(self, capacity: int, own: Address) -> None:
        self.capacity, self.own = capacity, own
        self._table: dict[Address, None] = {}  # a set that keeps its order

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, address: Address) -> bool:
        return address in self._table

    def add(self, address: Address) -> bool:
        """Whether it is new."""
        if address == self.own or address in self._table:
            return False
        self._table[address] = None
        if len(self._table) > self.capacity:
            del self._table[next(iter(self._table))]
        return True

    def remove(self, address: Address) -> None:
        self._table.pop(address, None)

    def pick(self, rng: Random, count: int, but: Collection[Address] = ()) -> list[Address]:
        """At most so many different ones, by chance."""
        free = [address for address in self._table if address not in but]
        return rng.sample(free, min(count, len(free)))


class HostsCore(NeighbourCore):
    """With `degree` the neighbours are found by this core itself, and the bootstrap is where it begins to look."""

    def __init__(self, setting: Setting, options: Options | None = None) -> None:
        super().__init__(setting, options)
        self.hosts = HostCache(self.options.hosts, self.address)
        self.pings = Routes(self.options.routes, self.options.route_s)
        self.news = 0  # hosts that came since the last Ping of this core's own
        self.pause_s = self.options.discover_s
        for address in self.wanted:
            self.hosts.add(address)
        if self.options.degree:
            self.wanted = ()

    def on_started(self) -> None:
        super().on_started()
        if self.options.explores:
            self.set_timer("explore", FIRST_LOOK_S * (0.2 + 0.8 * self.rng.random()))
        self._fill()

    def on_timer(self, name: str) -> None:
        if name == "explore":
            self._explore()
        elif name == "fill":
            self._fill()
        else:
            super().on_timer(name)

    def on_lost(self, address: Address | None) -> None:
        if not self.options.degree:
            super().on_lost(address)
        elif address is not None:
            self.hosts.remove(address)
            self.set_timer("fill", FILL_S * (0.5 + self.rng.random()))

    def hears(self, address: Address, neighbour: Neighbour) -> None:
        self.learn(address)

    def learn(self, address: Address) -> None:
        self.news += self.hosts.add(address)

    def others(self) -> list[Address]:
        """Those that this core could reach itself come first."""
        reached = [n.address for n in self.greeted() if not n.inbound]
        return [*reached, *self.hosts.pick(self.rng, 10, reached)]

    def check_ready(self) -> None:
        if not self.options.degree or not self.bootstrap or self.greeted():
            super().check_ready()

    @property
    def lonely(self) -> bool:
        return len(self.edges) < self.options.degree

    def _explore(self) -> None:
        """Ask for hosts: a Ping that goes as far as it can, answered by everybody who gets it."""
        if self.lonely or self.options.search == PROBE:
            guid = self.new_guid()
            self.pings.add(guid, OWN, self.now)
            ping = Descriptor(guid, PING, self.options.ttl, 0)
            for neighbour in self.greeted():
                self.tell(neighbour, ping)
        quiet = not self.news and not self.lonely
        self.pause_s = min(2 * self.pause_s, MAX_PAUSE * self.options.discover_s) if quiet else self.options.discover_s
        self.news = 0
        self.set_timer("explore", self.pause_s * (0.75 + self.rng.random() / 2))
        self._fill()

    def _fill(self) -> None:
        """Dial hosts by chance, until there are enough neighbours."""
        missing = self.options.degree - len(self.edges) - len(self.dialling)
        if missing <= 0:
            return
        if not len(self.hosts):
            for address in self.bootstrap:
                self.hosts.add(address)
        under_way = {n.address for n in self.neighbours.values()} | set(self.dialling.values())
        for address in self.hosts.pick(self.rng, missing, under_way):
            self.dial(address)
