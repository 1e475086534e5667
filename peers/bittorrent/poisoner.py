"""A tracker's list filled with peers that do not exist, of the swarms of torrents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from peers.bittorrent.metainfo import of_item
from peers.bittorrent.options import PIECE_BYTES, _option
from peers.core import Options
from peers.tracker import poisoner


@dataclass
class PoisonerOptions(poisoner.PoisonerOptions):
    piece_bytes: int = _option(PIECE_BYTES, "length of a piece of the torrents")
    item_bytes: int = _option(PIECE_BYTES, "size of the items")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if self.piece_bytes < 1 or self.item_bytes < 1:
            raise ValueError("piece_bytes and item_bytes have to be above 0")


class Poisoner(poisoner.Poisoner):
    """A client of trackers that announces many seeds of a torrent which do not exist."""

    protocol: ClassVar[str] = "bittorrent"
    Options: ClassVar[type[Options]] = PoisonerOptions

    options: PoisonerOptions

    def info_hash(self, item: str) -> bytes:
        return of_item(item, self.options.item_bytes, self.options.piece_bytes).info_hash
