"""What a verb amounts to, before it is named and dated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.faults import Action, Check, PeerCheck, Signal, StartPeer


@dataclass
class Effect:
    """What a verb amounts to, before it is named and dated."""

    label: str
    apply: list[Action]
    undo: list[Action] = field(default_factory=list)
    apply_checks: list[Check] = field(default_factory=list)
    undo_checks: list[Check] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)  # what no check tells, and why
    undo_untold: list[str] = field(default_factory=list)


def ended(peers: Sequence[str], signal: Any, disk: Any, label: str) -> Effect:
    """Peers end by a signal, and are started again when that is undone."""
    return Effect(
        label,
        [Signal(peer, signal) for peer in peers], [StartPeer(peer, disk) for peer in peers],
        [PeerCheck(peer, "gone") for peer in peers], [PeerCheck(peer, "running") for peer in peers],
    )  # fmt: skip


def some(names: Sequence[str]) -> str:
    """A few names for a label."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} ({', '.join(names[:2])}, ...)"
