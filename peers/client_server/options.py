"""Parameters of both roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peers.core import Options


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class ServerOptions(Options):
    max_connections: int = _option(256, "streams served at a time; others are told to come back (503)")
    upload_mbit: float = _option(0.0, "what the server sends in all, in Mbit/s; 0: as much as the line takes")
    idle_s: float = _option(60.0, "a stream on which nothing moves is closed after so long")
    max_upload_bytes: int = _option(1 << 32, "the longest file that is taken by PUT")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.max_connections < 1 or self.idle_s <= 0 or self.max_upload_bytes < 1:
            raise ValueError("max_connections, idle_s and max_upload_bytes must be above zero")
        if self.upload_mbit < 0:
            raise ValueError("upload_mbit must not be negative")


@dataclass
class WithholderOptions(ServerOptions):
    answer_s: float = _option(0.0, "give so much later what is asked for, 64 KiB at a time; 0: never")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if self.answer_s < 0:
            raise ValueError("answer_s must not be negative")


@dataclass
class ClientOptions(Options):
    timeout_s: float = _option(5.0, "a stream on which nothing moves is given up after so long")
    retry_s: float = _option(0.5, "try again after so long, doubling up to eight times that")
    attempts: int = _option(6, "attempts in a row that bring nothing before an operation has failed")
    lookup_attempts: int = _option(2, "the same for lookups, whose answer somebody is waiting for")
    keep_alive_s: float = _option(15.0, "an idle stream is kept for the next request so long")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        for name in ("timeout_s", "retry_s", "attempts", "lookup_attempts", "keep_alive_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero")
