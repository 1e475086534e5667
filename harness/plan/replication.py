"""How many copies each item gets: alike, or by its popularity (Cohen & Shenker, SIGCOMM 2002)."""

from __future__ import annotations

from collections.abc import Sequence

POWER = {"uniform": 0.0, "proportional": 1.0, "square_root": 0.5}  # of the popularity


def copies_of(popularity: Sequence[float], mean: int, allocation: str, most: int) -> list[int]:
    """Whole numbers from 1 to `most`, `mean` on average, as near to the proportions as they come.

    Each further copy goes to the item that is farthest below its due, so that nothing is lost by rounding.
    """
    shares = [weight ** POWER[allocation] for weight in popularity]
    due = [share / sum(shares) * mean * len(shares) for share in shares]
    copies = [min(max(1, int(one)), most) for one in due]
    while sum(copies) < mean * len(copies):
        open_ = [item for item, count in enumerate(copies) if count < most]
        copies[max(open_, key=lambda item: due[item] - copies[item])] += 1
    while sum(copies) > mean * len(copies):
        spare = [item for item, count in enumerate(copies) if count > 1]
        copies[min(spare, key=lambda item: due[item] - copies[item])] -= 1
    return copies
