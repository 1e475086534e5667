"""Servents that harm others while they speak the protocol well: bad copies, and answers to every question."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from peers.core import Setting
from peers.flooding.options import Options
from peers.flooding.servent import Servent
from peers.flooding.shelf import Shelf
from peers.pollution import SpoiledStore
from peers.store import Store

HARMFUL = frozenset({"publish", "dump"})


@dataclass
class PolluterOptions(Options):
    piece_bytes: int = field(default=64 * 1024, metadata={"help": "length of a piece of a bad copy"})
    bad_pieces: int = field(default=0, metadata={"help": "pieces of each copy that are wrong; 0: all"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.piece_bytes < 1 or self.bad_pieces < 0:
            raise ValueError("piece_bytes must be above 0, and bad_pieces not negative")


@dataclass
class PoisonerOptions(Options):
    told_bytes: int = field(default=1 << 20, metadata={"help": "size that it tells of files which it does not have"})


class Polluter(Servent):
    """A servent whose copies are bad: what it answers is true of the real ones."""

    role: ClassVar[str] = "polluter"
    Options: ClassVar[type[Options]] = PolluterOptions
    verbs: ClassVar[frozenset[str]] = HARMFUL

    def __init__(self, setting: Setting, options: Any = None) -> None:
        chosen = options or PolluterOptions()
        spoiled = SpoiledStore(setting.store, setting.identity, chosen.piece_bytes, chosen.bad_pieces)
        super().__init__(replace(setting, store=spoiled), chosen)


class EverythingShelf(Shelf):
    """Whatever is asked for is said to be here; nothing is when it is fetched (404)."""

    def __init__(self, store: Store, told_bytes: int) -> None:
        super().__init__(store)
        self._told_bytes = told_bytes

    def __contains__(self, item: str) -> bool:
        return True

    def index(self, item: str) -> int:
        return 1

    def size(self, item: str) -> int | None:
        return self._told_bytes


class Poisoner(Servent):
    """A servent that answers every Query with itself, whatever is looked for."""

    role: ClassVar[str] = "poisoner"
    Options: ClassVar[type[Options]] = PoisonerOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"dump"})

    options: PoisonerOptions

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options or PoisonerOptions())
        self.shelf = EverythingShelf(setting.store, self.options.told_bytes)
