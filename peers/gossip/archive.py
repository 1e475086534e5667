"""What a peer remembers of messages: which ids it has seen and since when, and bodies as long as there is room."""

from __future__ import annotations

from peers.wire.gossip import Message


class Archive:
    """Bounded twice: `capacity` ids, `keep_bytes` of bodies; the oldest go first, bodies before ids."""

    def __init__(self, capacity: int, keep_bytes: int) -> None:
        self.capacity, self.keep_bytes = capacity, keep_bytes
        self.first: dict[bytes, float] = {}  # id -> when it was seen first
        self.messages: dict[bytes, Message] = {}
        self.bytes = 0

    def __contains__(self, ident: bytes) -> bool:
        return ident in self.first

    def __len__(self) -> int:
        return len(self.first)

    def get(self, ident: bytes) -> Message | None:
        return self.messages.get(ident)

    def add(self, message: Message, now: float, keep: bool = True) -> bool:
        """Remember it; False when it is known already."""
        if message.id in self.first:
            return False
        self.first[message.id] = now
        if keep:
            self.messages[message.id] = message
            self.bytes += len(message.body)
        while self.bytes > self.keep_bytes and len(self.messages) > 1:
            self._drop_body(next(iter(self.messages)))
        while len(self.first) > self.capacity:
            self.forget(next(iter(self.first)))
        return True

    def forget(self, ident: bytes) -> None:
        """As if it had never been seen."""
        self.first.pop(ident, None)
        self._drop_body(ident)

    def _drop_body(self, ident: bytes) -> None:
        message = self.messages.pop(ident, None)
        if message is not None:
            self.bytes -= len(message.body)
