"""Servents that harm others while they speak the protocol well: bad copies, false answers, files that do not come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from peers.core import Setting
from peers.flooding.options import Options
from peers.flooding.servent import Servent
from peers.flooding.shelf import Shelf
from peers.flooding.uploads import Upload, Uploads
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


@dataclass
class WithholderOptions(Options):
    answer_s: float = field(default=0.0, metadata={"help": "16 KiB of a file each time after so long; 0: never"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer_s < 0:
            raise ValueError("answer_s must not be negative")


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


class SlowUploads(Uploads):
    """The head of a response comes at once, its bytes late or never."""

    def _pump(self, conn: int, upload: Upload) -> None:
        if not upload.sends:
            super()._pump(conn, upload)
        elif self.answer_s:
            self.servent.set_timer(f"withheld {conn}", self.answer_s)

    @property
    def answer_s(self) -> float:
        assert isinstance(self.servent, Withholder)
        return self.servent.options.answer_s

    def on_timer(self, name: str) -> bool:
        """It is in no hurry to have its slots back: nothing is closed for silence."""
        what, _, conn = name.partition(" ")
        upload = self.streams.get(int(conn)) if what == "withheld" else None
        if upload is not None:
            super()._pump(int(conn), upload)
        return what in ("withheld", "uploads")


class Withholder(Servent):
    """A servent that answers Queries truly, takes every request, and sends late or never."""

    role: ClassVar[str] = "withholder"
    Options: ClassVar[type[Options]] = WithholderOptions
    verbs: ClassVar[frozenset[str]] = HARMFUL

    options: WithholderOptions

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options or WithholderOptions())
        self.uploads = SlowUploads(self)
