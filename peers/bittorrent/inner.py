"""A core within a core: one process, one port and one clock for both."""

from __future__ import annotations

from collections.abc import Callable

from peers.core import (
    Address,
    CancelTimer,
    Close,
    Closed,
    Connect,
    Core,
    Effect,
    Emit,
    Input,
    Opened,
    Received,
    SetTimer,
    TimerFired,
    Write,
)

QUIET = frozenset({"ready", "op_start", "op_end"})  # events that are the outer core's to emit


class Inner:
    """Hands inputs to `core` and its effects to `carry_out`; `dial(address)` gives out numbers of streams."""

    def __init__(
        self, core: Core, name: str, carry_out: Callable[[Effect], None], dial: Callable[[Address], int]
    ) -> None:
        self.core = core
        self.ready = False
        self._prefix = f"{name}: "
        self._carry_out = carry_out
        self._dial = dial
        self._outer_of: dict[int, int] = {}  # streams
        self._inner_of: dict[int, int] = {}

    def handle(self, now: float, event: Input) -> None:
        for effect in self.core.handle(now, event):
            self._translate(effect)

    def on_timer(self, now: float, name: str) -> bool:
        """Whether the timer was this core's."""
        if not name.startswith(self._prefix):
            return False
        self.handle(now, TimerFired(name.removeprefix(self._prefix)))
        return True

    def on_stream(self, now: float, event: Opened | Received | Closed) -> bool:
        """Whether the stream is this core's."""
        inner = self._inner_of.get(event.conn)
        if inner is None:
            return False
        if isinstance(event, Closed):
            self._forget(inner)
        self.handle(now, event._replace(conn=inner))
        return True

    def _translate(self, effect: Effect) -> None:
        if isinstance(effect, Emit):
            self.ready |= effect.event == "ready"
            if effect.event not in QUIET:
                self._carry_out(effect)
        elif isinstance(effect, SetTimer | CancelTimer):
            self._carry_out(effect._replace(name=self._prefix + effect.name))
        elif isinstance(effect, Connect):
            outer = self._dial(effect.to)
            self._outer_of[effect.conn], self._inner_of[outer] = outer, effect.conn
        elif isinstance(effect, Write | Close):
            outer = self._outer_of.get(effect.conn, -1)
            if isinstance(effect, Close):
                self._forget(effect.conn)
            if outer >= 0:
                self._carry_out(effect._replace(conn=outer))
        else:
            self._carry_out(effect)

    def _forget(self, inner: int) -> None:
        outer = self._outer_of.pop(inner, None)
        if outer is not None:
            del self._inner_of[outer]
