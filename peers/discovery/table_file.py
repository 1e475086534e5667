"""The address table on disk, so that it outlives a restart (in Bitcoin the file `peers.dat`).

Two files are written in turn, each with a number and a checksum: whoever is killed while writing has the other one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from peers.core import Address
from peers.discovery.address_manager import AddressManager, usable
from peers.discovery.buckets import Entry
from peers.store import Store, StoreError

NAMES = ("addresses-0.json", "addresses-1.json")
MAX_FILE_BYTES = 32 << 20
DIGEST_BYTES = 64  # of SHA-256 in hexadecimal


def save(store: Store, manager: AddressManager, anchors: Sequence[Address], number: int) -> None:
    """Write the table as its `number`-th version. Raises StoreError."""
    rows = [
        (str(e.address), str(e.source), e.heard, e.last_try, e.last_success, e.attempts, e.tried)
        for e in manager.entries.values()
    ]
    body = {"number": number, "key": manager.key.hex(), "anchors": [str(a) for a in anchors], "entries": rows}
    text = json.dumps(body, separators=(",", ":")).encode()
    name = NAMES[number % 2]
    store.remove(name)
    store.write(name, 0, sha256(text).hexdigest().encode() + text)


def load(store: Store) -> dict[str, Any] | None:
    """The newest whole version, for `restore`; None when there is none."""
    found = [body for name in NAMES if (body := _read(store, name)) is not None]
    return max(found, key=lambda body: int(body["number"]), default=None)


def restore(manager: AddressManager, body: dict[str, Any], now: float) -> None:
    """Put the entries of a file back into an empty table."""
    for address, source, heard, last_try, last_success, attempts, tried in body["entries"]:
        entry = Entry(Address.parse(address), Address.parse(source), heard, last_try, last_success, attempts)
        if usable(entry.address):
            manager.put_back(entry, tried, now)


def anchors(body: dict[str, Any]) -> list[Address]:
    return [Address.parse(text) for text in body["anchors"]]


def _read(store: Store, name: str) -> dict[str, Any] | None:
    """What is in a file, if it is whole: its checksum tells."""
    try:
        size = store.size(name)
        if not size or size > MAX_FILE_BYTES:
            return None
        data = store.read(name, 0, size)
    except StoreError:
        return None
    digest, text = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if sha256(text).hexdigest().encode() != digest:
        return None
    body: dict[str, Any] = json.loads(text)
    return body
