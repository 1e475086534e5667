"""What a servent offers: items by name and by file index, and their bytes in its store."""

from __future__ import annotations

from peers.store import Store

MAX_ITEM_BYTES = 1024
MAX_FILE_BYTES = (1 << 32) - 1  # what a QueryHit can say


class Shelf:
    """Only whole items are offered; what is being fetched is in the store, but not here."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.indices: dict[int, str] = {}
        self._index: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def __contains__(self, item: str) -> bool:
        return item in self._index

    def __len__(self) -> int:
        return len(self._index)

    @property
    def items(self) -> list[str]:
        return sorted(self._index)

    @property
    def kilobytes(self) -> int:
        """Of all items, as a Pong tells it."""
        return min(sum(self._sizes.values()) // 1000, (1 << 32) - 1)

    def index(self, item: str) -> int:
        return self._index[item]

    def size(self, item: str) -> int | None:
        """None for an item that is a name only, without content."""
        return self._sizes.get(item)

    def share(self, item: str, size: int | None) -> None:
        """Have an item, with its known content if it has a size. Raises StoreError."""
        if size is not None:
            self.store.share(item, size)
        self.offer(item, size)

    def offer(self, item: str, size: int | None) -> None:
        """Offer what is in the store, whole."""
        if size is not None:
            self._sizes[item] = size
        if item not in self._index:
            number = len(self._index) + 1
            self._index[item], self.indices[number] = number, item

    def read(self, item: str, offset: int, count: int) -> bytes:
        return self.store.read(item, offset, count)

    def kept(self, item: str, most: int) -> bytes:
        """What is in the store already of a file that is being fetched, from its begin on. Raises StoreError."""
        held = self.store.size(item) or 0
        return self.store.read(item, 0, held) if 0 < held <= most else b""

    def write(self, item: str, offset: int, data: bytes) -> None:
        """Part of what is being fetched. Raises StoreError."""
        self.store.write(item, offset, data)

    def drop(self, item: str) -> None:
        self.store.remove(item)


def refusal(item: object, size: object, verb: str) -> str:
    """Why a command cannot be carried out; "" if it can."""
    if not isinstance(item, str) or not _sendable(item):
        return "not an item: a name of 1 to 1024 bytes without NUL is needed"
    known = isinstance(size, int) and not isinstance(size, bool) and 0 < size <= MAX_FILE_BYTES
    if not known and (size is not None or verb == "download"):
        return f"not a size: a number of bytes from 1 to {MAX_FILE_BYTES} is needed"
    return ""


def _sendable(item: str) -> bool:
    """Whether a name fits a Query: NUL ends the search criteria; lone surrogates have no UTF-8."""
    try:
        size = len(item.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= MAX_ITEM_BYTES and "\0" not in item
