"""How a node answers, and what it makes of answers: they are how contacts come into its table."""

from __future__ import annotations

from typing import Any, ClassVar

from peers.core import Address, Core, Options, Setting
from peers.dht.binding import bound_id, fits
from peers.dht.options import DhtOptions
from peers.dht.routing_table import RoutingTable
from peers.dht.rpc import Rpc, Rpcs
from peers.dht.storage import Storage
from peers.dht.tokens import Tokens
from peers.wire import Malformed
from peers.wire.krpc import (
    ID_BITS,
    KINDS,
    METHOD_UNKNOWN,
    PROTOCOL_ERROR,
    SERVER_ERROR,
    WANTS,
    AnnouncePeer,
    BadQuery,
    Error,
    FindNode,
    GetPeers,
    Message,
    NodeInfo,
    Ping,
    Query,
    Response,
    Unknown,
    decode_message,
    encode_message,
)

MAX_VALUES = 50  # providers in one answer: 50 x 8 bytes and 8 nodes stay within one frame of 1,500 bytes
MAX_VALUES6 = 36  # 36 x 21 bytes and 8 nodes within 1,280 with all headers, which every way takes (RFC 8200, section 5)
MAX_CHECKS = 64  # pings under way to nodes that want a place in the table


class Answerer(Core):
    """A node that answers questions and remembers who answered its own; it asks nothing by itself."""

    protocol = "dht"
    role = "node"
    Options: ClassVar[type[Options]] = DhtOptions
    transports = frozenset({"udp"})
    default_port = 6881
    both_families = True
    bootstrap_from = "members"

    options: DhtOptions

    def __init__(self, setting: Setting, options: DhtOptions | None = None) -> None:
        super().__init__(setting, options)
        o = self.options
        self.id = int(o.node_id, 16) if o.node_id else self.draw_id()
        self.info = NodeInfo(self.id, self.address)
        self.sister: Answerer | None = None  # the same node in the DHT of the other family
        self.named: tuple[NodeInfo, ...] = ()  # by the sister, a moment ago
        self.table = RoutingTable(self.id, o.k, o.good_s, o.backoff_s, self._on_edge)
        self.rpcs = Rpcs(self, o.rpc_timeout_s, o.retries)
        self.storage = Storage(o.peer_ttl_s)
        self.shared: dict[int, str] = {}  # info_hash -> item: what this node itself provides
        self._tokens = Tokens(self.rng, o.token_rotate_s, self.now)
        self._checks = 0

    def draw_id(self) -> int:
        """An id out of `identity`."""
        if self.options.bound_ids:
            return bound_id(self.address.host, self.identity)
        return self.identity.getrandbits(ID_BITS)

    # ---- inputs ----

    def on_datagram(self, source: Address, data: bytes) -> None:
        try:
            transaction, message = decode_message(data)
        except BadQuery as error:
            self.malformed(source, str(error))
            self._reply(source, error.transaction, Error(PROTOCOL_ERROR, str(error)))
        except Malformed as error:
            self.malformed(source, str(error))
        else:
            if isinstance(message, (Response, Error)):
                self._on_reply(source, transaction, message, len(data))
            else:
                self._on_query(source, transaction, message, len(data))

    def state(self) -> dict[str, Any]:
        """What `dump` tells."""
        return {"id": f"{self.id:040x}"}

    def known_providers(self, info_hash: int) -> list[Address]:
        """Without asking anybody: ourselves first, then what was announced to us."""
        own = [self.address] if info_hash in self.shared else []
        return own + [address for address in self.storage.providers(info_hash, self.now) if address != self.address]

    # ---- questions of others ----

    def _on_query(self, source: Address, transaction: bytes, query: Query | Unknown, size: int) -> None:
        if self.trace:
            self.heard(KINDS[type(query)], transaction.hex(), source, size)
        if isinstance(query, Unknown):
            self._reply(source, transaction, Error(METHOD_UNKNOWN, f"unknown method {query.method}"))
            return
        self._reply(source, transaction, self._by_family(self._answer(query, source), query))
        node = NodeInfo(query.sender, source)
        if self._allowed(node):
            self._check(self.table.asked(node, self.now))

    def _answer(self, query: Query, source: Address) -> Message:
        if isinstance(query, FindNode):
            return Response(self.id, nodes=self._closest(query))
        if isinstance(query, GetPeers):
            values = self._sample(self.known_providers(query.target))
            token = self._tokens.issue(source.host, self.now)
            return Response(self.id, self._closest(query), values or None, token)
        if isinstance(query, AnnouncePeer):
            return self._store(query, source)
        return Response(self.id)

    def _by_family(self, message: Message, query: Query) -> Message:
        """Nodes go under the name of their family; those of the other are added where they are wanted (BEP 32)."""
        if not isinstance(message, Response) or not isinstance(query, (FindNode, GetPeers)):
            return message
        if not query.want and not self.address.ipv6:
            return message
        named = {self.address.ipv6: message.nodes}
        if query.want:
            other = self.sister._closest(query) if self.sister is not None else ()
            named = {
                six: message.nodes if six == self.address.ipv6 else other
                for six in (wish == WANTS[1] for wish in query.want)
            }
        return message._replace(nodes=named.get(False), nodes6=named.get(True))

    def _store(self, query: AnnouncePeer, source: Address) -> Message:
        if not self._tokens.valid(query.token, source.host, self.now):
            return Error(PROTOCOL_ERROR, "bad token")
        provider = Address(source.host, source.port if query.implied_port else query.port)
        if not self.storage.add(query.target, provider, self.now):
            return Error(SERVER_ERROR, "the storage is full")
        return Response(self.id)

    def _closest(self, query: FindNode | GetPeers) -> tuple[NodeInfo, ...]:
        nodes = self.table.closest(query.target, self.options.k + 1)
        return tuple([node for node in nodes if node.id != query.sender][: self.options.k])

    def _sample(self, providers: list[Address]) -> tuple[Address, ...]:
        most = MAX_VALUES6 if self.address.ipv6 else MAX_VALUES
        return tuple(self.rng.sample(providers, most) if len(providers) > most else providers)

    def _reply(self, to: Address, transaction: bytes, message: Message) -> None:
        data = encode_message(transaction, message)
        self.send(to, data)
        if self.trace:
            self.sent(KINDS[type(message)], transaction.hex(), to, len(data))

    # ---- answers to our questions ----

    def _on_reply(self, source: Address, transaction: bytes, message: Response | Error, size: int) -> None:
        rpc = self.rpcs.settle(transaction, source)
        if self.trace:
            of_ours: dict[str, Any] = {} if rpc is None else {"op": rpc.op, "reply": True}
            self.heard(KINDS[type(message)], transaction.hex(), source, size, **of_ours)
        if rpc is None:  # too late, or never asked for
            return
        if isinstance(message, Error):
            rpc.done(None)
            return
        node = NodeInfo(message.sender, source)
        if self._allowed(node):
            self._check(self.table.answered(node, self.now))
        message = self._of_our_family(message)
        if rpc.node_id is None or rpc.node_id == message.sender:
            if self.options.bound_ids and message.nodes:
                message = message._replace(nodes=tuple(filter(fits, message.nodes)))
            rpc.done(message)
        else:
            self._check(self.table.vanished(rpc.node_id))
            rpc.done(None)

    def _of_our_family(self, message: Response) -> Response:
        """With `nodes` and `values` of the DHT that the answer came from; other nodes are for the sister."""
        six = self.address.ipv6
        if not six and message.nodes6 is None and not message.values:
            return message
        nodes, others = (message.nodes6, message.nodes) if six else (message.nodes, message.nodes6)
        if others and self.sister is not None:
            self.sister.named = others
        values = tuple([each for each in message.values if each.ipv6 == six]) if message.values else message.values
        return message._replace(nodes=nodes, nodes6=None, values=values)

    def _try_out(self) -> None:
        """Nodes that were named in the other DHT are asked whether they are there."""
        named, self.named = self.named, ()
        for node in named:
            if node.id != self.id and self._allowed(node) and self.table.get(node.id) is None:
                self._check(node)

    def _allowed(self, node: NodeInfo) -> bool:
        """Whether we deal with a node of this id at this address at all; bootstrap nodes are asked whatever theirs."""
        return not self.options.bound_ids or fits(node)

    def _on_silence(self, rpc: Rpc) -> None:
        if rpc.node_id is not None:
            self._check(self.table.failed(rpc.node_id, self.now))
        rpc.done(None)

    def _check(self, node: NodeInfo | None) -> None:
        """Ping a node on which the table wants to know more; the answer goes to the table as every answer does."""
        if node is None or self._checks >= MAX_CHECKS or self.rpcs.is_asking(node.id):
            return
        self._checks += 1
        self.rpcs.ask(node.address, node.id, Ping(self.id), self._on_checked)

    def _on_checked(self, _: Response | None) -> None:
        self._checks -= 1

    def _on_edge(self, remote: Address, up: bool) -> None:
        self.emit("neighbour", remote=str(remote), up=up)
