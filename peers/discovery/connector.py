"""Finding and keeping neighbours: bootnodes, the address table, outbound slots, inbound limit, and the defences.

A node asks a bootnode whom it knows, connects to some of them at random, asks these, and goes on until its outbound
slots are filled. What it learns goes into an address table (address_manager.py) that is kept on disk.
Other protocols build on this class: they take their messages in `on_message`, send them with `tell`, and are told of
neighbours by `on_neighbour` and `on_neighbour_lost`; these four call `super()` first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from peers.core import Address, Setting
from peers.discovery import table_file
from peers.discovery.address_manager import AddressManager
from peers.discovery.buckets import group_of
from peers.discovery.connections import ASK, EPOCH_S, FEELER, OUTBOUND, Connections, Neighbour
from peers.discovery.feelers import Feelers
from peers.discovery.inbound import least_useful
from peers.discovery.options import NodeOptions
from peers.store import StoreError
from peers.wire.bitcoin import Entry, Message, decode_addresses, encode_addresses

RELAYED = 10  # longer lists of addresses are answers, and not handed on
FEW = 2  # with fewer neighbours than that bootnodes are asked although addresses are known
MAX_DOUBLINGS = 4  # of the time between questions to bootnodes
TOLD = 5000  # addresses of a table that an event tells
TEST_S = 1.0  # between tests before evictions, where no feelers are sent anyway


class Connector(Connections):
    """Keeps connections to nodes that it finds by itself."""

    Options: ClassVar[type[NodeOptions]] = NodeOptions
    bootstrap_from: ClassVar[str] = "role:bootnode"

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.store = setting.store
        self.bootnodes = [address for address in dict.fromkeys(self.bootstrap) if address != self.address]
        self.rng.shuffle(self.bootnodes)
        self.manager = AddressManager(self.options, self.rng, self.rng.randbytes(32))
        self.anchors: list[Address] = []
        self.ready = False
        self.refused = 0  # inbound streams
        self.asks = 0  # questions to bootnodes since the last time there was no neighbour
        self.ask_at = 0.0
        self.lonely_since = 0.0
        self.rotated: Address | None = None
        self.feelers = Feelers(self)
        self.saves = 0

    # ---- for subclasses ----

    def outbound(self) -> list[Neighbour]:
        return [n for n in self.neighbours.values() if n.greeted and n.kind == OUTBOUND]

    def barred(self) -> set[Address]:
        """Whom we do not dial: ourselves, bootnodes, and to whom there is a stream already."""
        return {self.address, *self.bootnodes, *self.busy()}

    # ---- beginning and end ----

    def on_started(self) -> None:
        super().on_started()
        self._load()
        if self.manager:
            self.emit("table", addresses=[str(address) for address in list(self.manager.entries)[:TOLD]])
        self.lonely_since = self.now
        for address in self.anchors[: self.options.anchors]:
            self._dial_out(address)
        self._fill()
        self.set_timer("save", self.options.save_s)
        self.set_timer("advertise", self.options.advertise_s * (0.5 + self.rng.random()))
        if self.options.feeler_s or self.options.test_before_evict:
            self.set_timer("feeler", self.options.feeler_s or TEST_S)
        if self.options.rotate_s:
            self.set_timer("rotate", self.options.rotate_s * (0.5 + self.rng.random()))
        if not self.bootnodes and not self.manager:
            self._be_ready()

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "stop":
            self._save()
        elif verb == "dump":
            self.emit("state", op=op, state=self.state())

    def on_timer(self, name: str) -> None:
        if name == "fill":
            self._fill()
        elif name == "save":
            self._save()
            self.set_timer("save", self.options.save_s)
        elif name == "advertise":
            self._advertise(self.greeted())
            self.set_timer("advertise", self.options.advertise_s)
        elif name == "feeler":
            self.feelers.send()
            self.set_timer("feeler", self.options.feeler_s or TEST_S)
        elif name == "rotate":
            self._rotate()
            self.set_timer("rotate", self.options.rotate_s)
        else:
            super().on_timer(name)

    def state(self) -> dict[str, Any]:
        """What `dump` shows."""
        return {
            "neighbours": [{"remote": str(n.address), "inbound": n.inbound} for n in self.greeted()],
            "table": self.manager.state(),
            "entries": [
                [str(e.address), "tried" if e.tried else "new", round(e.heard, 3)]
                for e in list(self.manager.entries.values())[:1000]
            ],
            "refused": self.refused,
        }

    def _load(self) -> None:
        body = table_file.load(self.store)
        if body is None:
            return
        self.saves = int(body["number"])
        self.manager = AddressManager(self.options, self.rng, bytes.fromhex(body["key"]))
        table_file.restore(self.manager, body, self.now)
        self.anchors = table_file.anchors(body)

    def _save(self) -> None:
        kept = sorted(self.outbound(), key=lambda n: n.since)[: self.options.anchors]
        anchors = [n.address for n in kept] or self.anchors
        self.saves += 1
        try:
            table_file.save(self.store, self.manager, anchors, self.saves)
        except StoreError as error:  # a full disk: the version before is still there
            self.malformed(self.address, f"the address table cannot be saved: {error}")

    def _be_ready(self) -> None:
        if not self.ready:
            self.ready = True
            self.emit("ready", neighbours=len(self.greeted()))

    # ---- outbound slots ----

    def _fill(self) -> None:
        """Dial for every slot that is free; ask a bootnode when there is nobody to dial, or nobody answers."""
        self.set_timer("fill", self.options.dial_s)
        self._keep_bootnodes()
        filled = len(self.outbound())
        if filled >= FEW:
            self.lonely_since = self.now
        lonely = self.now - self.lonely_since >= self.options.ask_after_s
        free = self.options.outbound - filled - sum(kind == OUTBOUND for _, kind in self._pending())
        for _ in range(free):
            address = self.manager.select(self.now, filled, self.options.outbound, self._eligible())
            if address is None:
                lonely = True
                break
            self._dial_out(address)
        if lonely and free > 0:
            self._ask(filled)

    def _pending(self) -> list[tuple[Address, str]]:
        """What is being dialled or greeted."""
        greeting = [(n.address, n.kind) for n in self.neighbours.values() if not n.greeted and not n.inbound]
        return [*self.dialling.values(), *greeting]

    def _dial_out(self, address: Address) -> None:
        self.manager.attempt(address, self.now)
        self.dial(address, OUTBOUND)

    def _eligible(self) -> Callable[[Address], bool]:
        """Which addresses may be dialled for an outbound slot."""
        barred = self.barred() | ({self.rotated} if self.rotated else set())
        if not self.options.one_per_group:
            return lambda address: address not in barred
        groups = self._groups()
        return lambda address: address not in barred and self._group(address) not in groups

    def _groups(self) -> set[bytes]:
        pending = [address for address, kind in self._pending() if kind == OUTBOUND]
        return {self._group(address) for address in [*pending, *(n.address for n in self.outbound())]}

    def _group(self, address: Address) -> bytes:
        return group_of(address.host, self.options.group_bits)

    def _keep_bootnodes(self) -> None:
        for address in self.bootnodes[: self.options.keep_bootnodes]:
            if address not in self.busy():
                self.dial(address, OUTBOUND)

    def _ask(self, filled: int) -> None:
        """Ask the next bootnode whom it knows; each time another one, so that one that died costs one turn."""
        if not self.bootnodes or self.now < self.ask_at or any(kind == ASK for _, kind in self._pending()):
            return
        self.asks = min(self.asks + 1, MAX_DOUBLINGS) if filled else 0
        self.ask_at = self.now + self.options.ask_s * 2**self.asks
        self.bootnodes.append(self.bootnodes.pop(0))
        if self.bootnodes[-1] not in self.busy():
            self.dial(self.bootnodes[-1], ASK)

    def _rotate(self) -> None:
        """Replace the oldest outbound neighbour, when all slots are filled."""
        mine = [n for n in self.outbound() if n.address not in self.bootnodes]
        if mine and len(self.outbound()) >= self.options.outbound:
            oldest = min(mine, key=lambda n: n.since)
            self.rotated = oldest.address
            self.drop(oldest, "rotated")

    # ---- streams ----

    def admits(self, remote: Address) -> bool:
        inbound = [n for n in self.neighbours.values() if n.inbound]
        limit = self.options.inbound_per_group
        group = self._group(remote)
        if limit and sum(self._group(n.remote) == group for n in inbound) >= limit:
            self.refused += 1
            return False
        if len(inbound) < self.options.inbound:
            return True
        loser = least_useful(inbound, lambda n: self._group(n.remote)) if self.options.evict_inbound else None
        if loser is None:
            self.refused += 1
            return False
        self.drop(loser, "evicted")
        return True

    def on_greeted(self, neighbour: Neighbour) -> None:
        name = neighbour.name
        if neighbour.inbound:
            if name is not None:
                self.manager.add(name, name, self.now, self.now, own_word=True)
                if self.options.trust_inbound:
                    self.manager.good(name, self.now)
            return
        assert name is not None, "who was dialled has a name"
        self.manager.good(name, self.now)
        if neighbour.kind == FEELER:
            self.feelers.over(name)
            self.drop(neighbour, "tested")
            return
        self.tell(neighbour, Message("getaddr"))

    def on_neighbour(self, neighbour: Neighbour) -> None:
        if neighbour.kind == OUTBOUND:
            self.rotated = None
            self._advertise([neighbour])
        self._be_ready()

    def on_neighbour_lost(self, neighbour: Neighbour, reason: str) -> None:
        if neighbour.kind == OUTBOUND:
            self.manager.refresh(neighbour.address, neighbour.heard)

    def on_failed(self, address: Address, kind: str) -> None:
        if address in self.edges:  # it dialled us at the same moment
            self.manager.good(address, self.now)
        if kind == FEELER:
            self.feelers.over(address)

    # ---- messages ----

    def on_message(self, neighbour: Neighbour, message: Message) -> None:
        if message.command == "getaddr":
            self._answer(neighbour)
        elif message.command == "addr":
            self._learn(neighbour, decode_addresses(message.payload))

    def _answer(self, neighbour: Neighbour) -> None:
        """Tell who asks: once a stream, and only who dialled (Bitcoin since 0.10: else tables can be compared)."""
        if not neighbour.inbound or neighbour.answered:
            return
        neighbour.answered = True
        chosen = self.manager.sample(
            self.now, self.options.answer_least, self.options.answer_pct, self.options.answer_most
        )
        entries = [Entry(EPOCH_S + int(e.heard), e.address) for e in chosen if e.address != neighbour.name]
        self.tell(neighbour, Message("addr", encode_addresses(entries)))

    def _learn(self, neighbour: Neighbour, entries: list[Entry]) -> None:
        new = []
        for entry in entries:
            heard = float(entry.time - EPOCH_S)
            own = len(entries) == 1 and entry.address == neighbour.name
            if entry.address != self.address and self.manager.add(
                entry.address, neighbour.address, heard, self.now, own_word=own
            ):
                new.append(entry)
        if new and len(entries) <= RELAYED and not neighbour.passing:
            self._relay(neighbour, new)
        if neighbour.kind == ASK:
            self.drop(neighbour, "answered")
            self._be_ready()
        if new or neighbour.kind == ASK:
            self._fill()

    def _relay(self, source: Neighbour, entries: list[Entry]) -> None:
        others = [n for n in self.greeted() if n is not source]
        for neighbour in self.rng.sample(others, min(self.options.relay_to, len(others))):
            self.tell(neighbour, Message("addr", encode_addresses(entries)))

    def _advertise(self, neighbours: list[Neighbour]) -> None:
        payload = encode_addresses([Entry(EPOCH_S + int(self.now), self.address)])
        for neighbour in neighbours:
            self.tell(neighbour, Message("addr", payload))
