"""Bencoding (BEP 3), read leniently: a dissector also looks at what a strict peer would refuse, or was cut short."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 32  # deeper nesting is no message of ours


class NotBencoded(ValueError):
    """The bytes are not bencoded."""


class CutShort(NotBencoded):
    """The bytes end before the value does."""


def decode(data: bytes) -> Any:
    """The one value that `data` holds: int, bytes, list or dict. Raises NotBencoded."""
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise NotBencoded(f"{len(data) - end} bytes follow the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise NotBencoded(f"nested deeper than {MAX_DEPTH}")
    lead = data[at : at + 1]
    if lead == b"i":
        end = _find(data, b"e", at)
        return _number(data[at + 1 : end]), end + 1
    if lead == b"l":
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = _value(data, at, depth + 1)
            items.append(item)
        return items, at + 1
    if lead == b"d":
        pairs, at = {}, at + 1
        while data[at : at + 1] != b"e":
            key, at = _string(data, at)
            pairs[key], at = _value(data, at, depth + 1)
        return pairs, at + 1
    return _string(data, at)


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    if not data[at : at + 1].isdigit():
        raise CutShort("the data ends early") if at >= len(data) else NotBencoded(f"no value begins at byte {at}")
    colon = _find(data, b":", at)
    end = colon + 1 + _number(data[at:colon])
    if end > len(data):
        raise CutShort("a string ends early")
    return data[colon + 1 : end], end


def _find(data: bytes, sign: bytes, at: int) -> int:
    found = data.find(sign, at, at + 24)
    if found < 0:
        raise CutShort("a number ends early") if at + 24 > len(data) else NotBencoded(f"no number ends near byte {at}")
    return found


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise NotBencoded(f"{text!r} is not a number") from error


def top_level(data: bytes) -> tuple[dict[bytes, bytes | None], bool]:
    """The keys of a dictionary with their string values (None for other values), and whether its end was reached.

    Where `data` was cut short, the last key's value may be missing: it is None. Raises NotBencoded.
    """
    found: dict[bytes, bytes | None] = {}
    if data[:1] != b"d":
        raise NotBencoded("no dictionary")
    at = 1
    try:
        while data[at : at + 1] != b"e":
            key, at = _string(data, at)
            found[key] = None
            if data[at : at + 1].isdigit():
                found[key], at = _string(data, at)
            else:
                at = _skip(data, at)
    except CutShort:
        return found, False
    return found, True


def _skip(data: bytes, at: int) -> int:
    """The end of the value that begins at `at`."""
    depth = 0
    size = len(data)
    while at < size:
        lead = data[at]
        if lead in b"dl":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotBencoded(f"nested deeper than {MAX_DEPTH}")
            at += 1
            continue
        if lead == 0x65:  # "e"
            depth -= 1
            at += 1
        elif lead == 0x69:  # "i"
            at = _find(data, b"e", at) + 1
        else:
            _, at = _string(data, at)
        if depth <= 0:
            return at
    raise CutShort("the data ends early")


def encode(value: Any) -> bytes:
    """Bencode an int, bytes, list or dict (keys are sorted)."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"
