"""A client's question on its way to a tracker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from peers.core import Address
from peers.wire.tracker import Announce, Announced, Failure


@dataclass(slots=True, eq=False)
class Question:
    """An announce, the trackers that it may go to (`trackers[0]` is being asked), and whom to tell of the outcome.

    `done(question, answer)` is called once; the answer is a Failure when no tracker gave a better one.
    """

    number: int
    announce: Announce
    op: str | None
    trackers: list[Address]
    done: Callable[[Question, Announced | Failure], None]
    give_up_at: float = 0.0  # on this tracker
    attempts: int = 0  # with this tracker
    attempts_in_all: int = 0
    trouble: str = "timeout"  # the latest reason for having no answer

    @property
    def tracker(self) -> Address:
        return self.trackers[0]

    @property
    def timer(self) -> str:
        return f"question {self.number}"


def ignore(question: Question, answer: Announced | Failure) -> None:
    """For goodbyes: whether one arrives is not waited for, because a tracker forgets its members by itself."""


class Asking(ABC):
    """How questions are asked. An answer is told to `on_answer(question, answer)`; silence is the client's business."""

    def __init__(self, on_answer: Callable[[Question, Announced | Failure], None]) -> None:
        self._on_answer = on_answer

    @abstractmethod
    def ask(self, question: Question) -> None:
        """Make one attempt with the question's tracker."""

    @abstractmethod
    def forget(self, question: Question) -> None:
        """It is answered, or given up with this tracker: let go of all that belongs to it."""
