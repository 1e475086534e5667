"""Index poisoning: a tracker lists whoever announces himself, and nobody looks whether there is anybody.

(Liang, Naoumov & Ross, "The Index Poisoning Attack in P2P File Sharing Systems", INFOCOM 2006.) The address that counts
is the one that an announce comes from, so a host can sign up no other; but it has 65,535 ports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from peers.core import Options, Setting
from peers.tracker.client import Client, ClientOptions, _info_hash, _option
from peers.wire.tracker import Announced, Failure

FIRST_PORT = 20_000  # nobody listens here and above


@dataclass
class PoisonerOptions(ClientOptions):
    items: str = _option("", "names of the items whose swarms are poisoned, separated by commas")
    members: int = _option(50, "false members of each, at ports where nobody listens")
    from_s: float = _option(0.0, "begin so long after the start")
    again_s: float = _option(30.0, "announce all of them again after so long")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if not 0 < self.members <= 10_000 or self.from_s < 0 or self.again_s <= 0:
            raise ValueError("members is 1 to 10000, from_s not negative, again_s above 0")


class Poisoner(Client):
    """A client that announces many seeds which do not exist."""

    role: ClassVar[str] = "poisoner"
    Options: ClassVar[type[Options]] = PoisonerOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"dump"})

    options: PoisonerOptions

    def __init__(self, setting: Setting, options: PoisonerOptions | None = None) -> None:
        super().__init__(setting, options)
        self.listed = 0

    def on_started(self) -> None:
        super().on_started()
        self.set_timer("poison", self.options.from_s + self.rng.random())

    def on_timer(self, name: str) -> None:
        if name == "poison":
            for item in filter(None, self.options.items.split(",")):
                self._poison(self.info_hash(item))
            self.set_timer("poison", self.options.again_s)
        else:
            super().on_timer(name)

    def info_hash(self, item: str) -> bytes:
        return _info_hash(item) or b""

    def _poison(self, info_hash: bytes) -> None:
        honest = self._announcement(info_hash, "", left=0, numwant=0)
        for number in range(self.options.members):
            self._ask(None, honest._replace(port=FIRST_PORT + number), self._count)

    def _count(self, question: Any, answer: Announced | Failure) -> None:
        self.listed += isinstance(answer, Announced)
