"""Parameters of both roles."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from peers.core import Options
from peers.napster.checks import CHECKS


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


def _above_zero(options: Any, names: tuple[str, ...]) -> None:
    for each in fields(options):
        if each.name in names and getattr(options, each.name) <= 0:
            raise ValueError(f"{each.name} must be above zero")


@dataclass
class IndexOptions(Options):
    max_users: int = _option(5000, "users logged in at a time")
    max_shares: int = _option(5000, "files that one user can share")
    max_files: int = _option(500_000, "files of all users")
    max_results: int = _option(100, "results of a search, whatever is asked for")
    results_per_user: int = _option(0, "results of a search that one user may have; 0: any number")
    login_s: float = _option(10.0, "a stream that does not log in is closed after so long")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        _above_zero(self, ("max_users", "max_shares", "max_files", "max_results", "login_s"))
        if self.results_per_user < 0:
            raise ValueError("results_per_user must not be negative")


@dataclass
class UserOptions(Options):
    firewalled: bool = _option(False, "nobody can connect to this user: it pushes what it shares (500, 501)")
    uploads: int = _option(8, "files given at a time")
    link: int = _option(7, "speed of the line as told to others, 0 to 10; 7 is cable")
    timeout_s: float = _option(5.0, "an index or a user that says nothing is given up after so long")
    retry_s: float = _option(1.0, "log in again, or search again for a download, after so long; doubling up to 8 times")
    attempts: int = _option(4, "searches of a download that bring nothing before it has failed")
    addresses: int = _option(3, "users found by a lookup whose addresses are asked for")
    check: str = _option("file", "a download is checked as a whole (file), piece by piece (pieces), or not (none)")
    piece_bytes: int = _option(64 * 1024, "length of a piece")
    bad_copies: int = _option(4, "times that a download is refused by its check before it has failed")
    search_again: bool = _option(False, "after a bad copy choose among all users once more, not among the others")
    reshare: bool = _option(True, "share what was downloaded")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        positive = ("uploads", "timeout_s", "retry_s", "attempts", "addresses", "piece_bytes", "bad_copies")
        _above_zero(self, positive)
        if self.check not in CHECKS:
            raise ValueError(f"check is {self.check!r}, but has to be one of {', '.join(CHECKS)}")
        if not 0 <= self.link <= 10:
            raise ValueError("link must be 0 to 10")


@dataclass
class PolluterOptions(UserOptions):
    bad_pieces: int = _option(0, "pieces of each copy that are wrong; 0: all")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if self.bad_pieces < 0:
            raise ValueError("bad_pieces must not be negative")


@dataclass
class WithholderOptions(UserOptions):
    answer_s: float = _option(0.0, "give so much later what is asked for, 64 KiB at a time; 0: never")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if self.answer_s < 0:
            raise ValueError("answer_s must not be negative")


@dataclass
class PoisonerOptions(UserOptions):
    items: str = _option("", "names of the items that are poisoned, separated by commas")
    decoys: int = _option(0, "files shared whose names contain that of an item: they fill the results of a search")
    told_bytes: int = _option(1 << 20, "size that it tells of files which it does not have")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if self.decoys < 0 or self.told_bytes < 1:
            raise ValueError("decoys must not be negative, told_bytes above zero")
