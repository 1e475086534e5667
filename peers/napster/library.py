"""What users share, found by the words in names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from peers.wire.opennap import Share

_WORD = re.compile(r"\w+")
MAX_WORDS = 32  # of one name


def words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())[:MAX_WORDS])


class Library:
    """Shares by name and nick; how many one user may have is the index's business."""

    def __init__(self) -> None:
        self.count = 0
        self._by_name: dict[str, dict[str, Share]] = {}
        self._names: dict[str, dict[str, None]] = {}  # by word, in the order of their coming

    def add(self, nick: str, share: Share) -> bool:
        """Whether it was new."""
        owners = self._by_name.setdefault(share.name, {})
        new = nick not in owners
        self.count += new
        owners[nick] = share
        for word in words(share.name):
            self._names.setdefault(word, {})[share.name] = None
        return new

    def remove(self, nick: str, name: str) -> None:
        owners = self._by_name.get(name, {})
        if owners.pop(nick, None) is None:
            return
        self.count -= 1
        if not owners:
            del self._by_name[name]
            for word in words(name):
                del self._names[word][name]
                if not self._names[word]:
                    del self._names[word]

    def get(self, nick: str, name: str) -> Share | None:
        return self._by_name.get(name, {}).get(nick)

    def find(self, text: str) -> Iterator[tuple[str, Share]]:
        """Every share whose name contains all the words."""
        sets = sorted((self._names.get(word, {}) for word in words(text)), key=len)
        for name in sets[0] if sets else ():
            if all(name in others for others in sets[1:]):
                yield from self._by_name[name].items()
