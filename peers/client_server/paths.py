"""Names of items as paths of URLs, and ranges of bytes; both come from strangers."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from peers.store import check_name
from peers.wire import Malformed

_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


def path_of(item: str) -> str:
    return "/" + quote(item)


def item_of(target: str) -> str:
    """The item of a request's target. Raises Malformed for what is no path, StoreError for a name not allowed."""
    path, _, _ = target.partition("?")
    if not path.startswith("/"):
        raise Malformed(f"no path: {target[:40]!r}")
    try:
        item = unquote_to_bytes(path[1:]).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"a path that is no text: {target[:40]!r}") from error
    if item.startswith("."):
        raise Malformed(f"a hidden name: {target[:40]!r}")
    return check_name(item)


def span_of(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte, and the one behind the last, that a Range header asks for (RFC 9110, section 14).

    The whole for what is no single range of bytes; None when the range is not satisfiable.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return 0, size
    first, last = match[1], match[2]
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    if last and int(last) < int(first):
        return 0, size
    end = min(int(last) + 1, size) if last else size
    return (int(first), end) if int(first) < size else None
