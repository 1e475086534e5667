"""Extended messages of the peer wire protocol: their handshake (BEP 10) and the exchange of metadata (BEP 9)."""

from __future__ import annotations

from typing import Any, NamedTuple

from peers.wire import Malformed
from peers.wire.bencode import Value, decode_dict, encode

HANDSHAKE_ID = 0
METADATA_ID = 1  # what we want the others to call ut_metadata
METADATA_PIECE_BYTES = 16 * 1024
MAX_METADATA_BYTES = 8 << 20  # hashes of 400,000 pieces
MAX_HANDSHAKE_BYTES = 8 * 1024
MAX_REQUEST_QUEUE = 2000
REQUEST, DATA, REJECT = range(3)


class ExtensionHandshake(NamedTuple):
    """`metadata_id` is what the sender wants ut_metadata messages to be called, 0 for none; `port` where it listens."""

    metadata_id: int = METADATA_ID
    metadata_size: int = 0
    port: int = 0
    request_queue: int = 0
    client: bytes = b""


class MetadataRequest(NamedTuple):
    piece: int


class MetadataData(NamedTuple):
    piece: int
    total_size: int
    data: bytes


class MetadataReject(NamedTuple):
    piece: int


MetadataMessage = MetadataRequest | MetadataData | MetadataReject


def encode_handshake(handshake: ExtensionHandshake) -> bytes:
    fields: dict[bytes, Value] = {b"m": {b"ut_metadata": handshake.metadata_id}}
    numbers = {b"metadata_size": handshake.metadata_size, b"p": handshake.port, b"reqq": handshake.request_queue}
    fields |= {key: value for key, value in numbers.items() if value}
    if handshake.client:
        fields[b"v"] = handshake.client
    return encode(fields)


def decode_handshake(payload: bytes) -> ExtensionHandshake:
    """What is missing or makes no sense is 0. Raises Malformed."""
    if len(payload) > MAX_HANDSHAKE_BYTES:
        raise Malformed(f"an extension handshake of {len(payload)} bytes")
    fields = decode_dict(payload)
    known = fields.get(b"m", {})
    if not isinstance(known, dict):
        raise Malformed("the extensions are no dictionary")
    client = fields.get(b"v", b"")
    return ExtensionHandshake(
        _number(known, b"ut_metadata", 255),
        _number(fields, b"metadata_size", MAX_METADATA_BYTES),
        _number(fields, b"p", 65535),
        min(_number(fields, b"reqq", 1 << 31), MAX_REQUEST_QUEUE),
        client[:64] if isinstance(client, bytes) else b"",
    )


def encode_metadata(message: MetadataMessage) -> bytes:
    if isinstance(message, MetadataData):
        fields: dict[bytes, Value] = {b"msg_type": DATA, b"piece": message.piece, b"total_size": message.total_size}
        return encode(fields) + message.data
    return encode({b"msg_type": REQUEST if isinstance(message, MetadataRequest) else REJECT, b"piece": message.piece})


def decode_metadata(payload: bytes) -> MetadataMessage | None:
    """None for a message of another type, which is to be passed over. Raises Malformed.

    Data follow the dictionary directly, so its end has to be found: it is flat, and its values are numbers.
    """
    end = _end_of_dict(payload)
    fields = decode_dict(payload[:end])
    piece = fields.get(b"piece")
    if not isinstance(piece, int) or not 0 <= piece < MAX_METADATA_BYTES // METADATA_PIECE_BYTES:
        raise Malformed("a metadata message without piece")
    kind = fields.get(b"msg_type")
    if kind == REQUEST:
        return MetadataRequest(piece)
    if kind == REJECT:
        return MetadataReject(piece)
    if kind != DATA:
        return None
    total = _number(fields, b"total_size", MAX_METADATA_BYTES)
    data = payload[end:]
    if not 0 < len(data) <= METADATA_PIECE_BYTES:
        raise Malformed(f"{len(data)} bytes of metadata")
    return MetadataData(piece, total, data)


def _end_of_dict(payload: bytes) -> int:
    """Where a dictionary of strings to numbers or strings ends, which begins at 0. Raises Malformed."""
    at = 1
    if payload[:1] != b"d":
        raise Malformed("a metadata message is no dictionary")
    for _ in range(32):
        mark = payload[at : at + 1]
        if mark == b"e":
            return at + 1
        if mark == b"i":
            at = payload.find(b"e", at, at + 24) + 1
        elif mark.isdigit():
            colon = payload.find(b":", at, at + 6)
            digits = payload[at:colon]
            at = colon + 1 + int(digits) if colon > 0 and digits.isdigit() else 0
        else:
            break
        if not at:
            break
    raise Malformed("a metadata message without end")


def _number(fields: dict[bytes, Any], key: bytes, most: int) -> int:
    value = fields.get(key, 0)
    return value if isinstance(value, int) and 0 <= value <= most else 0
