"""A server that harms its clients while it speaks the protocol well: it tells what it has and lets them wait for it."""

from __future__ import annotations

from typing import Any, ClassVar

from peers.client_server.options import WithholderOptions
from peers.client_server.server import PIECE_BYTES, Server
from peers.client_server.visitors import Visitor
from peers.core import Options, Setting


class Withholder(Server):
    """A server that tells the size of every file, and sends its bytes late or never."""

    role: ClassVar[str] = "withholder"
    Options: ClassVar[type[Options]] = WithholderOptions

    options: WithholderOptions

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options or WithholderOptions())

    def on_timer(self, name: str) -> None:
        what, _, conn = name.partition(" ")
        if what == "withheld":
            self._hand_over(int(conn))
        else:
            super().on_timer(name)

    def _go_on(self, visitor: Visitor) -> None:
        sending = visitor.sending
        if sending is None or visitor.paced:
            return
        if sending.at >= sending.end:
            self._sent_all(visitor)
        elif self.options.answer_s:
            visitor.paced = True
            self.set_timer(f"withheld {visitor.conn}", self.options.answer_s)

    def _hand_over(self, conn: int) -> None:
        visitor = self.visitors.get(conn)
        if visitor is not None and visitor.sending is not None:
            visitor.paced, visitor.moved = False, self.now
            self._send_piece(visitor, PIECE_BYTES)
