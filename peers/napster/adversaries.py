"""Users who harm others while they speak the protocol well: bad copies, and answers that are withheld."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from peers.core import Options, Setting
from peers.napster.options import PoisonerOptions, PolluterOptions, WithholderOptions
from peers.napster.uploads import Upload, Uploads
from peers.napster.user import User
from peers.pollution import SpoiledStore

HARMFUL = frozenset({"publish", "dump"})


class Polluter(User):
    """A user whose copies are bad: what it tells of them is true of the real ones."""

    role: ClassVar[str] = "polluter"
    Options: ClassVar[type[Options]] = PolluterOptions
    verbs: ClassVar[frozenset[str]] = HARMFUL

    options: PolluterOptions

    def __init__(self, setting: Setting, options: PolluterOptions | None = None) -> None:
        chosen = options or PolluterOptions()
        spoiled = SpoiledStore(setting.store, setting.identity, chosen.piece_bytes, chosen.bad_pieces)
        super().__init__(replace(setting, store=spoiled), chosen)


class SlowUploads(Uploads):
    """Greets, tells the size, and lets the other wait."""

    def _go_on(self, upload: Upload) -> None:
        assert isinstance(self.user, Withholder)
        if self.user.options.answer_s:
            self.user.set_timer(f"withheld {upload.conn}", self.user.options.answer_s)

    def hand_over(self, conn: int) -> None:
        if conn in self.running:
            self.running[conn].moved = self.user.now
            super()._go_on(self.running[conn])

    def on_timer(self, conn: int) -> None:
        """It is in no hurry to have its slots back."""
        if conn in self.running:
            self._watch(conn)


class Withholder(User):
    """A user who takes every request and answers late or never."""

    role: ClassVar[str] = "withholder"
    Options: ClassVar[type[Options]] = WithholderOptions
    verbs: ClassVar[frozenset[str]] = HARMFUL

    options: WithholderOptions

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.uploads: SlowUploads = SlowUploads(self)

    def on_timer(self, name: str) -> None:
        what, _, conn = name.partition(" ")
        if what == "withheld":
            self.uploads.hand_over(int(conn))
        else:
            super().on_timer(name)


class Poisoner(User):
    """A user who shares what he does not have, under the names of items and under names that contain theirs."""

    role: ClassVar[str] = "poisoner"
    Options: ClassVar[type[Options]] = PoisonerOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"dump"})

    options: PoisonerOptions

    def on_started(self) -> None:
        """Names are told at the login; whoever asks for one finds that it is not shared, for there is no such file."""
        o = self.options
        for item in filter(None, o.items.split(",")):
            names = [f"{item} {number}" for number in range(o.decoys)] or [item]
            self.shares |= dict.fromkeys(names, o.told_bytes)
        self.line.dial()
