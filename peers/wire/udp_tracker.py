"""The UDP tracker protocol (BEP 15): every message is one datagram of fixed fields, big-endian."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from peers.wire import Malformed
from peers.wire.compact import IPV4_SIZE, pack_address, unpack_addresses
from peers.wire.tracker import HASH_BYTES, MAX_SCRAPE, Announce, Announced, Counts, Event, Failure, Listed

PROTOCOL_ID = 0x41727101980
CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)
EVENTS: tuple[Event, ...] = ("", "completed", "started", "stopped")

_REQUEST = Struct(">QII")  # connection id (in a connect request: the protocol id), action, transaction id
_ANNOUNCE = Struct(">20s20sQQQIIIiH")  # info_hash, peer id, downloaded, left, uploaded, event, IP, key, numwant, port
_ANSWER = Struct(">II")  # action, transaction id
_CONNECTED = Struct(">Q")
_ANNOUNCED = Struct(">III")  # interval, leechers, seeders
_COUNTS = Struct(">III")  # seeders, completed, leechers


class Connect(NamedTuple):
    """Asks for a connection id, which proves that the asker receives what is sent to its address."""


class Connected(NamedTuple):
    connection_id: int


class Scrape(NamedTuple):
    info_hashes: tuple[bytes, ...]


class Scraped(NamedTuple):
    counts: tuple[Counts, ...]


Request = Connect | Announce | Scrape
Answer = Connected | Announced | Scraped | Failure
ANSWER_KINDS: dict[type[Answer], str] = {  # how traces and captures name them
    Connected: "connect_response",
    Announced: "announce_response",
    Scraped: "scrape_response",
    Failure: "error",
}


class Envelope(NamedTuple):
    """A request with what stands before it; of a connect request the connection id means nothing."""

    connection_id: int
    transaction: int
    request: Request


def encode_request(connection_id: int, transaction: int, request: Request) -> bytes:
    if isinstance(request, Connect):
        return _REQUEST.pack(PROTOCOL_ID, CONNECT, transaction)
    if isinstance(request, Scrape):
        return _REQUEST.pack(connection_id, SCRAPE, transaction) + b"".join(request.info_hashes)
    a = request
    return _REQUEST.pack(connection_id, ANNOUNCE, transaction) + _ANNOUNCE.pack(
        a.info_hash, a.peer_id, a.downloaded, a.left, a.uploaded, EVENTS.index(a.event), 0, a.key, a.numwant, a.port
    )


def decode_request(data: bytes) -> Envelope:
    """Bytes after an announce are its extensions (BEP 41) and passed over. Raises Malformed."""
    if len(data) < _REQUEST.size:
        raise Malformed(f"a request has {_REQUEST.size} bytes at least, not {len(data)}")
    connection_id, action, transaction = _REQUEST.unpack_from(data)
    if action == CONNECT:
        if connection_id != PROTOCOL_ID:
            raise Malformed(f"the protocol id is {connection_id:#x}")
        return Envelope(0, transaction, Connect())
    if action == ANNOUNCE:
        return Envelope(connection_id, transaction, _announce(data))
    if action == SCRAPE:
        return Envelope(connection_id, transaction, _scrape(data[_REQUEST.size :]))
    raise Malformed(f"there is no action {action}")


def encode_answer(transaction: int, answer: Answer) -> bytes:
    """Of the peers in an answer those are left out whose addresses are not of the first one's family."""
    if isinstance(answer, Connected):
        return _ANSWER.pack(CONNECT, transaction) + _CONNECTED.pack(answer.connection_id)
    if isinstance(answer, Announced):
        packed = [pack_address(peer.address) for peer in answer.peers]
        peers = b"".join(each for each in packed if len(each) == len(packed[0]))
        fields = _ANNOUNCED.pack(answer.interval_s, answer.leechers, answer.seeders)
        return _ANSWER.pack(ANNOUNCE, transaction) + fields + peers
    if isinstance(answer, Scraped):
        return _ANSWER.pack(SCRAPE, transaction) + b"".join(_COUNTS.pack(*counts) for counts in answer.counts)
    return _ANSWER.pack(ERROR, transaction) + answer.text.encode()


def decode_answer(data: bytes, address_size: int = IPV4_SIZE) -> tuple[int, Answer]:
    """The transaction id and the answer; over IPv6 addresses have 18 bytes. Raises Malformed."""
    if len(data) < _ANSWER.size:
        raise Malformed(f"an answer has {_ANSWER.size} bytes at least, not {len(data)}")
    action, transaction = _ANSWER.unpack_from(data)
    body = data[_ANSWER.size :]
    if action == CONNECT and len(body) >= _CONNECTED.size:
        return transaction, Connected(_CONNECTED.unpack_from(body)[0])
    if action == ANNOUNCE and len(body) >= _ANNOUNCED.size:
        interval_s, leechers, seeders = _ANNOUNCED.unpack_from(body)
        peers = tuple(Listed(address) for address in unpack_addresses(body[_ANNOUNCED.size :], address_size))
        return transaction, Announced(interval_s, leechers, seeders, peers)
    if action == SCRAPE and len(body) % _COUNTS.size == 0:
        return transaction, Scraped(tuple(Counts(*fields) for fields in _COUNTS.iter_unpack(body)))
    if action == ERROR:
        return transaction, Failure(body[:200].decode("utf-8", "replace"))
    raise Malformed(f"no answer of action {action} has {len(data)} bytes")


def _announce(data: bytes) -> Announce:
    if len(data) < _REQUEST.size + _ANNOUNCE.size:
        raise Malformed(f"an announce has {_REQUEST.size + _ANNOUNCE.size} bytes, not {len(data)}")
    fields = _ANNOUNCE.unpack_from(data, _REQUEST.size)
    info_hash, peer_id, downloaded, left, uploaded, event, _, key, numwant, port = fields
    if event >= len(EVENTS) or not port:
        raise Malformed(f"an announce with event {event} and port {port}")
    return Announce(info_hash, peer_id, port, uploaded, downloaded, left, EVENTS[event], numwant, key)


def _scrape(body: bytes) -> Scrape:
    if not body or len(body) % HASH_BYTES or len(body) > MAX_SCRAPE * HASH_BYTES:
        raise Malformed(f"{len(body)} bytes are not 1 to {MAX_SCRAPE} info_hashes")
    return Scrape(tuple(body[at : at + HASH_BYTES] for at in range(0, len(body), HASH_BYTES)))
