"""Bencoding (BEP 3): integers, byte strings, lists and dictionaries.

The decoder takes canonical input only, with two decisions of its own. Keys of a dictionary may come in any order,
because some clients in the wild do not sort them, but none twice: the two readings of such a message are an attack's
raw material. Integers have at most 64 bits' worth of digits, strings end within the message, and nesting is bounded,
so time and memory are linear in the input. The encoder always sorts.
"""

from __future__ import annotations

from typing import Any

from peers.wire import Malformed

Value = int | bytes | list["Value"] | dict[bytes, "Value"]

MAX_DEPTH = 24  # .torrent files and KRPC messages need five
MAX_DIGITS = 20  # of an integer, sign included: -2^63 has as many
MAX_LENGTH_DIGITS = 9  # of a string's length


def decode(data: bytes) -> Value:
    """The one value that `data` holds. Raises Malformed, also when bytes follow it."""
    value, end = _value(data, 0, MAX_DEPTH)
    if end != len(data):
        raise Malformed(f"{len(data) - end} bytes follow the bencoded value")
    return value


def decode_dict(data: bytes) -> dict[bytes, Any]:
    """As `decode`, for messages that have to be a dictionary."""
    value = decode(data)
    if not isinstance(value, dict):
        raise Malformed("the message is not a dictionary")
    return value


def encode(value: Value) -> bytes:
    parts: list[bytes] = []
    _append(value, parts)
    return b"".join(parts)


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    mark = data[at : at + 1]
    if mark == b"i":
        return _integer(data, at + 1)
    if mark == b"d" or mark == b"l":
        if not depth:
            raise Malformed(f"nested deeper than {MAX_DEPTH}")
        return _dict(data, at + 1, depth - 1) if mark == b"d" else _list(data, at + 1, depth - 1)
    if mark.isdigit():
        return _string(data, at)
    raise Malformed(f"no value begins with {mark!r}, at byte {at}" if mark else "the message ends too early")


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    colon = data.find(b":", at, at + MAX_LENGTH_DIGITS + 1)
    digits = data[at:colon]
    if colon < 0 or not digits.isdigit() or (digits[0] == 0x30 and len(digits) > 1):
        raise Malformed(f"no length of a string at byte {at}")
    start = colon + 1
    end = start + int(digits)
    if end > len(data):
        raise Malformed(f"the string at byte {at} is longer than the message")
    return data[start:end], end


def _integer(data: bytes, at: int) -> tuple[int, int]:
    end = data.find(b"e", at, at + MAX_DIGITS + 1)
    text = data[at:end]
    digits = text[1:] if text[:1] == b"-" else text
    if end < 0 or not digits.isdigit() or (digits[0] == 0x30 and text != b"0"):
        raise Malformed(f"no canonical integer at byte {at}")
    return int(text), end + 1


def _list(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    values = []
    while data[at : at + 1] != b"e":
        value, at = _value(data, at, depth)
        values.append(value)
    return values, at + 1


def _dict(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Value], int]:
    values: dict[bytes, Value] = {}
    while data[at : at + 1] != b"e":
        key, at = _string(data, at)
        if key in values:
            raise Malformed(f"the key {key[:20]!r} comes twice")
        # Most values are strings: straight to them, datagrams by the thousand are read here.
        values[key], at = _string(data, at) if data[at : at + 1].isdigit() else _value(data, at, depth)
    return values, at + 1


def _append(value: Value, parts: list[bytes]) -> None:
    if isinstance(value, bytes):
        parts.append(b"%d:%b" % (len(value), value))
    elif isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, dict):
        parts.append(b"d")
        for key in sorted(value):
            item = value[key]
            if isinstance(item, bytes):
                parts.append(b"%d:%b%d:%b" % (len(key), key, len(item), item))
            else:
                parts.append(b"%d:%b" % (len(key), key))
                _append(item, parts)
        parts.append(b"e")
    else:
        parts.append(b"l")
        for each in value:
            _append(each, parts)
        parts.append(b"e")
