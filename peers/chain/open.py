"""Chain nodes that find each other by themselves: protocol `open_chain`, the chain upon peer discovery.

What gossip says to a neighbour goes over the streams that the address manager chose, as messages of Bitcoin's form: the
command is the kind (inv, getdata, getblocks, transaction, block), the payload that of the gossip frame.
"""

from __future__ import annotations

from typing import Any, ClassVar

from peers.chain.node import Chain
from peers.chain.options import OpenOptions
from peers.core import Address, Setting
from peers.discovery import connector, node
from peers.discovery.connections import Connections, Neighbour
from peers.wire import Malformed
from peers.wire.bitcoin import Message as Carrier
from peers.wire.gossip import BLOCK, HELLO, ID_BYTES, KINDS, MESSAGE, PING, PONG, TOPICS, TRANSACTION, Message

CARRIED = {name: kind for kind, name in KINDS.items() if kind not in (HELLO, PING, PONG, MESSAGE)}
BODIES = frozenset(TOPICS[topic] for topic in (TRANSACTION, BLOCK))
CARRIED |= dict.fromkeys(BODIES, MESSAGE)


class Carrying(Chain, Connections):
    """A chain node that talks over `Connections`; who of the neighbours takes part is the subclass's business."""

    transports: ClassVar[frozenset[str]] = Connections.transports
    default_port: ClassVar[int] = Connections.default_port
    protocol: ClassVar[str] = "open_chain"

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.speaking: dict[Address, Neighbour] = {}

    def partners(self) -> list[Address]:
        return list(self.speaking)

    def height(self) -> int:
        return self.tree.height

    def begin(self, neighbour: Neighbour) -> None:
        """Take a neighbour in as a partner."""
        self.speaking[neighbour.address] = neighbour
        self.strategy.partner_up(neighbour.address)
        self.link_up(neighbour.address)

    def end(self, neighbour: Neighbour) -> None:
        """It went."""
        if self.speaking.get(neighbour.address) is neighbour:
            del self.speaking[neighbour.address]
            self.strategy.partner_down(neighbour.address)
            self.link_down(neighbour.address)

    def carried(self, neighbour: Neighbour, message: Carrier) -> bool:
        """Whether the message was the chain's. Raises Malformed."""
        kind = CARRIED.get(message.command)
        if kind is None:
            return False
        if self.speaking.get(neighbour.address) is neighbour:
            if kind == MESSAGE and Message.decode(message.payload).kind != message.command:
                raise Malformed(f"a {message.command} that is none")
            self.on_frame(neighbour.address, kind, message.payload)
        return True

    def on_timer(self, name: str) -> None:
        if not self.on_chain_timer(name) and not self.strategy.on_timer(name):
            super().on_timer(name)

    # ---- gossip over the streams; `tell` and `about` trace what goes and comes ----

    def say(self, to: Address, kind: int, payload: bytes = b"", ident: bytes = b"") -> None:
        self._carry(to, Carrier(KINDS[kind], payload))

    def send_message(self, to: Address, message: Message) -> None:
        self._carry(to, Carrier(message.kind, message.encode()))

    def about(self, message: Carrier) -> dict[str, Any]:
        if message.command in BODIES and len(message.payload) > ID_BYTES:
            known = {"duplicate": True} if message.payload[:ID_BYTES] in self.archive else {}
            return {"hops": message.payload[ID_BYTES], **known}
        return super().about(message)

    def _carry(self, to: Address, message: Carrier) -> None:
        neighbour = self.speaking.get(to)
        if neighbour is not None:
            self.tell(neighbour, message)

    def _trace(self, source: Address, kind: int, payload: bytes) -> None:
        pass

    def _trace_copy(self, source: Address, message: Message, size_bytes: int, new: bool) -> None:
        pass


class Node(Carrying, connector.Connector):
    """A node of the chain among neighbours that its address manager chose."""

    role: ClassVar[str] = "node"
    Options: ClassVar[type[Any]] = OpenOptions
    verbs: ClassVar[frozenset[str]] = Chain.verbs | connector.Connector.verbs
    bootstrap_from: ClassVar[str] = connector.Connector.bootstrap_from

    def on_started(self) -> None:
        self.start_chain()
        self.strategy.start()
        super().on_started()

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "broadcast":
            self.broadcast(op, args.get("item"), args.get("size_bytes", 0))
        else:
            connector.Connector.on_command(self, op, verb, args)

    def on_message(self, neighbour: Neighbour, message: Carrier) -> None:
        if not self.carried(neighbour, message):
            super().on_message(neighbour, message)

    def on_neighbour(self, neighbour: Neighbour) -> None:
        super().on_neighbour(neighbour)
        self.begin(neighbour)

    def on_neighbour_lost(self, neighbour: Neighbour, reason: str) -> None:
        super().on_neighbour_lost(neighbour, reason)
        self.end(neighbour)

    def state(self) -> dict[str, Any]:
        return {**super().state(), **connector.Connector.state(self)}


class Bootnode(node.Bootnode):
    """Tells nodes of each other; of the chain it knows nothing."""

    protocol: ClassVar[str] = "open_chain"


class Victim(Node):
    """A node like all others, but the one that attackers are told of."""

    role: ClassVar[str] = "victim"
