"""The HTTP tracker protocol: announce (BEP 3, compact BEP 23, 7) and scrape (BEP 48), targets and bencoded bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from peers.core import Address
from peers.wire import Malformed
from peers.wire.bencode import Value, decode_dict, encode
from peers.wire.compact import IPV4_SIZE, IPV6_SIZE, is_literal, pack_address, unpack_addresses
from peers.wire.tracker import HASH_BYTES, MAX_SCRAPE, Announce, Announced, Counts, Event, Failure, Listed

MAX_NUMBER_DIGITS = 19  # 2^63 - 1 has as many
MAX_PEERS = 2000  # read from one answer
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")
_EVENTS: dict[str, Event] = {"": "", "empty": "", "completed": "completed", "started": "started", "stopped": "stopped"}


class Question(NamedTuple):
    """An announce, and the form in which its answer is wanted: `compact` 6 bytes a peer, else a dictionary each."""

    announce: Announce
    compact: bool = True
    no_peer_id: bool = False


def announce_target(announce: Announce, path: str = "/announce") -> str:
    a = announce
    fields = {
        "info_hash": percent_encode(a.info_hash),
        "peer_id": percent_encode(a.peer_id),
        "port": str(a.port),
        "uploaded": str(a.uploaded),
        "downloaded": str(a.downloaded),
        "left": str(a.left),
        "compact": "1",
        "key": f"{a.key:08x}",
    }
    if a.event:
        fields["event"] = a.event
    if a.numwant >= 0:
        fields["numwant"] = str(a.numwant)
    return f"{path}?" + "&".join(f"{name}={value}" for name, value in fields.items())


def scrape_target(info_hashes: tuple[bytes, ...], path: str = "/scrape") -> str:
    return f"{path}?" + "&".join(f"info_hash={percent_encode(info_hash)}" for info_hash in info_hashes)


def decode_announce(query: str) -> Question:
    """From what follows the "?" of the target. Raises Malformed."""
    fields = dict(split_query(query))
    event = _EVENTS.get(fields.get("event", b"").decode("latin-1"))
    port = _number(fields, "port", None)
    if event is None or not 0 < port < 65536:
        raise Malformed(f"an announce with event {fields.get('event', b'')[:20]!r} and port {port}")
    announce = Announce(
        info_hash=_hash(fields, "info_hash"),
        peer_id=_hash(fields, "peer_id"),
        port=port,
        uploaded=_number(fields, "uploaded", 0),
        downloaded=_number(fields, "downloaded", 0),
        left=_number(fields, "left", 0),
        event=event,
        numwant=-1 if fields.get("numwant", b"").startswith(b"-") else _number(fields, "numwant", -1),
    )
    return Question(announce, fields.get("compact") == b"1", fields.get("no_peer_id") == b"1")


def decode_scrape(query: str) -> tuple[bytes, ...]:
    """Raises Malformed."""
    info_hashes = tuple(value for name, value in split_query(query) if name == "info_hash")
    if not 0 < len(info_hashes) <= MAX_SCRAPE or any(len(info_hash) != HASH_BYTES for info_hash in info_hashes):
        raise Malformed(f"a scrape asks for 1 to {MAX_SCRAPE} info_hashes of {HASH_BYTES} bytes")
    return info_hashes


def encode_announced(answer: Announced, compact: bool = True, no_peer_id: bool = False) -> bytes:
    """IPv6 addresses go into "peers6" (BEP 7) of the compact form."""
    body: dict[bytes, Value] = {b"complete": answer.seeders, b"incomplete": answer.leechers}
    body[b"interval"] = answer.interval_s
    if compact:
        packed = [pack_address(peer.address) for peer in answer.peers]
        body[b"peers"] = b"".join(each for each in packed if len(each) == IPV4_SIZE)
        if any(len(each) != IPV4_SIZE for each in packed):
            body[b"peers6"] = b"".join(each for each in packed if len(each) != IPV4_SIZE)
    else:
        body[b"peers"] = [_peer_dict(peer, no_peer_id) for peer in answer.peers]
    return encode(body)


def encode_scraped(counts: Mapping[bytes, Counts]) -> bytes:
    files: dict[bytes, Value] = {
        info_hash: {b"complete": each.seeders, b"downloaded": each.completed, b"incomplete": each.leechers}
        for info_hash, each in counts.items()
    }
    return encode({b"files": files})


def encode_failure(text: str) -> bytes:
    return encode({b"failure reason": text.encode()})


def decode_announced(body: bytes) -> Announced | Failure:
    """Raises Malformed."""
    fields = decode_dict(body)
    if isinstance(fields.get(b"failure reason"), bytes):
        return Failure(fields[b"failure reason"][:200].decode("utf-8", "replace"))
    peers = fields.get(b"peers", b"")
    if isinstance(peers, bytes):
        listed = tuple(Listed(address) for address in unpack_addresses(peers)[:MAX_PEERS])
    elif isinstance(peers, list):
        found = (_listed(peer) for peer in peers[:MAX_PEERS])
        listed = tuple(peer for peer in found if is_literal(peer.address.host))  # names are not resolved here
    else:
        raise Malformed("the peers are neither a string nor a list")
    peers6 = fields.get(b"peers6", b"")
    if not isinstance(peers6, bytes):
        raise Malformed("the peers6 are no string")
    listed += tuple(Listed(address) for address in unpack_addresses(peers6, IPV6_SIZE)[:MAX_PEERS])
    return Announced(
        _count(fields, b"interval"), _count(fields, b"incomplete", 0), _count(fields, b"complete", 0), listed
    )


def decode_scraped(body: bytes) -> dict[bytes, Counts] | Failure:
    """Raises Malformed."""
    fields = decode_dict(body)
    if isinstance(fields.get(b"failure reason"), bytes):
        return Failure(fields[b"failure reason"][:200].decode("utf-8", "replace"))
    files = fields.get(b"files")
    if not isinstance(files, dict) or not all(isinstance(each, dict) for each in files.values()):
        raise Malformed("the files are no dictionary of dictionaries")
    return {
        info_hash: Counts(_count(each, b"complete", 0), _count(each, b"downloaded", 0), _count(each, b"incomplete", 0))
        for info_hash, each in files.items()
    }


def percent_encode(data: bytes) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def percent_decode(text: str) -> bytes:
    """Raises Malformed. "+" is itself: clients send raw bytes, not forms."""
    first, *rest = text.split("%")
    parts = [_latin(first)]
    for part in rest:
        if len(part) < 2 or not _HEX.issuperset(part[:2]):
            raise Malformed(f"no percent-encoding: %{part[:2]}")
        parts += [bytes.fromhex(part[:2]), _latin(part[2:])]
    return b"".join(parts)


def split_query(query: str) -> list[tuple[str, bytes]]:
    """Names and values of "a=1&b=2". Raises Malformed."""
    pairs = (field.partition("=") for field in query.split("&") if field)
    return [(name, percent_decode(value)) for name, _, value in pairs]


def _latin(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise Malformed("a character that is no byte") from error


def _hash(fields: Mapping[str, bytes], name: str) -> bytes:
    value = fields.get(name, b"")
    if len(value) != HASH_BYTES:
        raise Malformed(f"{name} has {len(value)} bytes, not {HASH_BYTES}")
    return value


def _number(fields: Mapping[str, bytes], name: str, default: int | None) -> int:
    text = fields.get(name)
    if not text and default is not None:
        return default
    if text is None or not text.isdigit() or len(text) > MAX_NUMBER_DIGITS:
        raise Malformed(f"{name} is no number")
    return int(text)


def _count(fields: Mapping[bytes, Any], name: bytes, default: int | None = None) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise Malformed(f"{name.decode()} is no count")
    return value


def _peer_dict(peer: Listed, no_peer_id: bool) -> dict[bytes, Value]:
    fields: dict[bytes, Value] = {b"ip": peer.address.host.encode(), b"port": peer.address.port}
    return fields if no_peer_id else fields | {b"peer id": peer.peer_id}


def _listed(peer: object) -> Listed:
    host, port = (peer.get(b"ip"), peer.get(b"port")) if isinstance(peer, dict) else (None, None)
    if not isinstance(host, bytes) or not isinstance(port, int) or not 0 < port < 65536:
        raise Malformed("a peer without ip and port")
    peer_id = peer.get(b"peer id", b"") if isinstance(peer, dict) else b""
    return Listed(Address(host[:255].decode("latin-1"), port), peer_id if isinstance(peer_id, bytes) else b"")
