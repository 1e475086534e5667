"""The program nft, in the present namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from harness.errors import EnvironmentUnfit, HarnessError


def nft(
    arguments: Sequence[str], text: str | None = None, *, users: str, refused: Callable[[str], HarnessError]
) -> str:
    """What it prints; `text` is its standard input.

    Raises EnvironmentUnfit where it is missing (`users` need it), and what `refused` makes of its complaint.
    """
    try:
        done = subprocess.run(["nft", *arguments], input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise EnvironmentUnfit(f"{users} need the program nft; install the package nftables") from error
    if done.returncode:
        raise refused(done.stderr.strip())
    return done.stdout
