"""What items are called."""

from __future__ import annotations


def item_names(count: int) -> tuple[str, ...]:
    width = len(str(count))
    return tuple(f"item{number:0{width}d}" for number in range(1, count + 1))
