"""KRPC, the messages of the BitTorrent DHT (BEP 5, for IPv6 BEP 32): a bencoded dictionary in one datagram.

160-bit strings (node ids, info_hashes, targets) are integers here, because all that is done with them is XOR.
Keys that a message need not have ("v", "ip", "ro") are passed over.

Datagrams come by the thousand and most are written in one way, as this module writes them itself: these are read by
pattern, and all others, with the same result, by way of bencode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from peers.core import Address
from peers.wire import Malformed
from peers.wire.bencode import decode_dict
from peers.wire.compact import IPV4_SIZE, IPV6_SIZE, pack_address, unpack_address

ID_BITS = 160
ID_BYTES = ID_BITS // 8
NODE_SIZE, NODE6_SIZE = ID_BYTES + IPV4_SIZE, ID_BYTES + IPV6_SIZE
WANTS = (b"n4", b"n6")  # nodes of IPv4, of IPv6
MAX_TRANSACTION = 32  # bytes; BEP 5 expects two
MAX_TOKEN = 128

_USUAL_NODES = 16  # of IPv4 in one answer, at most
_USUAL_QUERY = re.compile(
    rb"d1:ad2:id20:(.{20})"
    rb"(?:6:target20:(.{20})e1:q9:find_node|9:info_hash20:(.{20})e1:q9:get_peers|e1:q4:ping)"
    rb"1:t2:(..)1:y1:qe",
    re.DOTALL,
)
_USUAL_RESPONSE = re.compile(
    rb"d1:rd2:id20:(.{20})(?:5:nodes(%b))?(?:5:token8:(.{8}))?(?:6:valuesl((?:6:.{6})+)e)?e1:t2:(..)1:y1:re"
    % b"|".join(b"%d:.{%d}" % (size, size) for size in range(0, (_USUAL_NODES + 1) * NODE_SIZE, NODE_SIZE)),
    re.DOTALL,
)

GENERIC_ERROR, SERVER_ERROR, PROTOCOL_ERROR, METHOD_UNKNOWN = 201, 202, 203, 204


class NodeInfo(NamedTuple):
    """A node as others tell of it ("compact node info")."""

    id: int
    address: Address


class Ping(NamedTuple):
    sender: int


class FindNode(NamedTuple):
    """`want`: of which families nodes shall be named; where nothing is said, of the datagram's own (BEP 32)."""

    sender: int
    target: int
    want: tuple[bytes, ...] = ()


class GetPeers(NamedTuple):
    sender: int
    target: int  # the info_hash
    want: tuple[bytes, ...] = ()


class AnnouncePeer(NamedTuple):
    """With `implied_port` the port that the datagram came from counts, not `port`."""

    sender: int
    target: int  # the info_hash
    port: int
    token: bytes
    implied_port: bool = False


class Unknown(NamedTuple):
    """A query by a method that this codec does not know, to be answered with error 204."""

    method: str


class Response(NamedTuple):
    """The answer to any query: of ping and announce_peer only the sender, of find_node also `nodes`, ...

    Those of `nodes` have addresses of IPv4, those of `nodes6` of IPv6.
    """

    sender: int
    nodes: tuple[NodeInfo, ...] | None = None
    values: tuple[Address, ...] | None = None
    token: bytes | None = None
    nodes6: tuple[NodeInfo, ...] | None = None


class Error(NamedTuple):
    code: int
    text: str


Query = Ping | FindNode | GetPeers | AnnouncePeer
Message = Query | Unknown | Response | Error

# What a message is called: of a query, the method.
KINDS: Mapping[type[Message], str] = {
    Ping: "ping",
    FindNode: "find_node",
    GetPeers: "get_peers",
    AnnouncePeer: "announce_peer",
    Unknown: "unknown",
    Response: "response",
    Error: "error",
}
_METHODS: Mapping[type[Message], bytes] = {kind: b"%d:%b" % (len(name), name.encode()) for kind, name in KINDS.items()}


class BadQuery(Malformed):
    """A query that cannot be carried out, but whose transaction is known, so that error 203 can be the answer."""

    def __init__(self, transaction: bytes, reason: str) -> None:
        super().__init__(reason)
        self.transaction = transaction


def encode_message(transaction: bytes, message: Message) -> bytes:
    """Bencoded, the keys in order."""
    if isinstance(message, Response):
        return b"d1:rd%be1:t%b1:y1:re" % (_results(message), _string(transaction))
    if isinstance(message, Error):
        return b"d1:eli%de%be1:t%b1:y1:ee" % (message.code, _string(message.text.encode()), _string(transaction))
    if isinstance(message, Unknown):
        raise ValueError("an unknown method is only ever received")
    return b"d1:ad%be1:q%b1:t%b1:y1:qe" % (_arguments(message), _METHODS[type(message)], _string(transaction))


def decode_message(data: bytes) -> tuple[bytes, Message]:
    """The transaction id and the message. Raises BadQuery, Malformed."""
    if usual := _USUAL_RESPONSE.fullmatch(data):
        return _usual_response(*usual.groups())
    if usual := _USUAL_QUERY.fullmatch(data):
        return _usual_query(*usual.groups())
    return _any_message(data)


def _usual_query(
    sender: bytes, target: bytes | None, info_hash: bytes | None, transaction: bytes
) -> tuple[bytes, Message]:
    if target is not None:
        return transaction, FindNode(_number(sender), _number(target))
    if info_hash is not None:
        return transaction, GetPeers(_number(sender), _number(info_hash))
    return transaction, Ping(_number(sender))


def _usual_response(
    sender: bytes, nodes: bytes | None, token: bytes | None, values: bytes | None, transaction: bytes
) -> tuple[bytes, Message]:
    told = None if nodes is None else _nodes(nodes[nodes.index(b":") + 1 :], NODE_SIZE)
    providers = None if values is None else _reachable([values[at : at + 6] for at in range(2, len(values), 8)])
    return transaction, Response(_number(sender), told, providers, token)


def _any_message(data: bytes) -> tuple[bytes, Message]:
    body = decode_dict(data)
    transaction = _bytes(body, b"t")
    if len(transaction) > MAX_TRANSACTION:
        raise Malformed("the transaction id is too long")
    kind = body.get(b"y")
    if kind == b"r":
        return transaction, _response(_mapping(body, b"r"))
    if kind == b"q":
        try:
            return transaction, _query(_bytes(body, b"q"), _mapping(body, b"a"))
        except Malformed as error:
            raise BadQuery(transaction, str(error)) from error
    if kind == b"e":
        return transaction, _error(body)
    raise Malformed("the message is no query, response or error")


def pack_id(number: int) -> bytes:
    return number.to_bytes(ID_BYTES, "big")


@lru_cache(maxsize=4096)  # nodes are told of again and again
def pack_node(node: NodeInfo) -> bytes:
    return pack_id(node.id) + pack_address(node.address)


@lru_cache(maxsize=4096)
def unpack_node(data: bytes) -> NodeInfo:
    return NodeInfo(_number(data[:ID_BYTES]), unpack_address(data[ID_BYTES:]))


def _number(id_: bytes) -> int:
    return int.from_bytes(id_, "big")


def _string(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def _arguments(query: Query) -> bytes:
    """What is between the `d` and the `e` of the dictionary."""
    sender = b"2:id20:" + pack_id(query.sender)
    if isinstance(query, FindNode):
        return b"%b6:target20:%b%b" % (sender, pack_id(query.target), _wishes(query.want))
    if isinstance(query, GetPeers):
        return b"%b9:info_hash20:%b%b" % (sender, pack_id(query.target), _wishes(query.want))
    if isinstance(query, AnnouncePeer):
        where = pack_id(query.target), query.port, _string(query.token)
        return sender + b"12:implied_porti%de" % query.implied_port + b"9:info_hash20:%b4:porti%de5:token%b" % where
    return sender


def _wishes(want: tuple[bytes, ...]) -> bytes:
    return b"4:wantl%be" % b"".join([_string(wish) for wish in want]) if want else b""


def _results(response: Response) -> bytes:
    """What is between the `d` and the `e` of the dictionary."""
    results = b"2:id20:" + pack_id(response.sender)
    if response.nodes is not None:
        results += b"5:nodes" + _string(b"".join([pack_node(node) for node in response.nodes]))
    if response.nodes6 is not None:
        results += b"6:nodes6" + _string(b"".join([pack_node(node) for node in response.nodes6]))
    if response.token is not None:
        results += b"5:token" + _string(response.token)
    if response.values is not None:
        results += b"6:valuesl%be" % b"".join([_string(pack_address(address)) for address in response.values])
    return results


def _query(method: bytes, arguments: Mapping[bytes, Any]) -> Query | Unknown:
    if method == b"find_node":
        return FindNode(_id(arguments, b"id"), _id(arguments, b"target"), _want(arguments))
    if method == b"get_peers":
        return GetPeers(_id(arguments, b"id"), _id(arguments, b"info_hash"), _want(arguments))
    if method == b"ping":
        return Ping(_id(arguments, b"id"))
    if method == b"announce_peer":
        return _announce_peer(arguments)
    return Unknown(method[:40].decode("latin-1"))


def _want(arguments: Mapping[bytes, Any]) -> tuple[bytes, ...]:
    """Wishes that are not known are passed over, as BEP 32 asks."""
    want = arguments.get(b"want")
    return tuple([wish for wish in WANTS if wish in want]) if isinstance(want, list) else ()


def _announce_peer(arguments: Mapping[bytes, Any]) -> AnnouncePeer:
    implied = arguments.get(b"implied_port", 0) not in (0, b"")
    port = arguments.get(b"port")
    token = _bytes(arguments, b"token")
    if not implied and (not isinstance(port, int) or not 0 < port < 65536):
        raise Malformed("the port is no number from 1 to 65535")
    if len(token) > MAX_TOKEN:
        raise Malformed("the token is too long")
    usable_port = port if isinstance(port, int) and 0 < port < 65536 else 0
    return AnnouncePeer(_id(arguments, b"id"), _id(arguments, b"info_hash"), usable_port, token, implied)


def _response(results: Mapping[bytes, Any]) -> Response:
    sender = _id(results, b"id")
    nodes = _nodes(_bytes(results, b"nodes"), NODE_SIZE) if b"nodes" in results else None
    nodes6 = _nodes(_bytes(results, b"nodes6"), NODE6_SIZE) if b"nodes6" in results else None
    values = _values(results[b"values"]) if b"values" in results else None
    token = _bytes(results, b"token") if b"token" in results else None
    if token is not None and len(token) > MAX_TOKEN:
        raise Malformed("the token is too long")
    return Response(sender, nodes, values, token, nodes6)


def _error(body: Mapping[bytes, Any]) -> Error:
    error = body.get(b"e")
    if (
        not isinstance(error, list)
        or len(error) < 2
        or not isinstance(error[0], int)
        or not isinstance(error[1], bytes)
    ):
        raise Malformed("the error is not a list of code and text")
    return Error(error[0], error[1][:200].decode("utf-8", "replace"))


def _nodes(data: bytes, size: int) -> tuple[NodeInfo, ...]:
    if len(data) % size:
        raise Malformed(f"{len(data)} bytes are no whole number of compact nodes of {size} bytes")
    nodes = [unpack_node(data[at : at + size]) for at in range(0, len(data), size)]
    return tuple([node for node in nodes if node.address.port])


def _values(values: object) -> tuple[Address, ...]:
    if not isinstance(values, list) or not all(
        isinstance(v, bytes) and len(v) in (IPV4_SIZE, IPV6_SIZE) for v in values
    ):
        raise Malformed("the values are no list of compact addresses")
    return _reachable(values)


def _reachable(values: list[bytes]) -> tuple[Address, ...]:
    addresses = [unpack_address(value) for value in values]
    return tuple([address for address in addresses if address.port])


def _id(fields: Mapping[bytes, Any], key: bytes) -> int:
    value = fields.get(key)
    if not isinstance(value, bytes) or len(value) != ID_BYTES:
        raise Malformed(f"{key.decode()} is no string of {ID_BYTES} bytes")
    return _number(value)


def _bytes(fields: Mapping[bytes, Any], key: bytes) -> bytes:
    value = fields.get(key)
    if not isinstance(value, bytes):
        raise Malformed(f"{key.decode()} is missing or no string")
    return value


def _mapping(fields: Mapping[bytes, Any], key: bytes) -> Mapping[bytes, Any]:
    value = fields.get(key)
    if not isinstance(value, dict):
        raise Malformed(f"{key.decode()} is missing or no dictionary")
    return value
