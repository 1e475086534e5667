"""Peers that take and do not give, or give what is of no use."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from peers.bittorrent.options import FreeRiderOptions, PolluterOptions, WithholderOptions
from peers.bittorrent.peer import Peer
from peers.bittorrent.uploads import Uploads
from peers.core import Options, Setting
from peers.pollution import SpoiledStore


class Polluter(Peer):
    """A seed whose pieces are bad: whoever fetches one finds that out from its hash."""

    role: ClassVar[str] = "polluter"
    Options: ClassVar[type[Options]] = PolluterOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"publish", "dump", "stop"})

    def __init__(self, setting: Setting, options: PolluterOptions | None = None) -> None:
        chosen = options or PolluterOptions()
        spoiled = SpoiledStore(setting.store, setting.identity, chosen.piece_bytes, chosen.bad_pieces)
        super().__init__(replace(setting, store=spoiled), chosen)


class FreeRider(Peer):
    """A peer that downloads and gives nothing: it never unchokes anybody."""

    role: ClassVar[str] = "free_rider"
    Options: ClassVar[type[Options]] = FreeRiderOptions

    def __init__(self, setting: Setting, options: FreeRiderOptions | None = None) -> None:
        """Options of a whole overlay may say how many slots a peer has: not this one."""
        super().__init__(setting, replace(options or FreeRiderOptions(), upload_slots=0))


class Withheld(Uploads):
    """Requests are taken, and that is all."""

    def serve(self) -> None:
        if self._peer.options.upload_rate_mbit:
            super().serve()


class Withholder(Peer):
    """A seed that unchokes everybody, takes every request, and answers slowly or never."""

    role: ClassVar[str] = "withholder"
    Options: ClassVar[type[Options]] = WithholderOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"publish", "dump", "stop"})

    def __init__(self, setting: Setting, options: WithholderOptions | None = None) -> None:
        super().__init__(setting, options)
        o = self.options
        self.uploads = Withheld(self, o.upload_rate_mbit, 2 * o.pipeline_max)
