"""Cyclic garbage, looked for seldom: a simulation and its tables keep nearly all that they make until their end.

By its default the collector looks at all objects again and again while they grow in number: a third of a run's time.
"""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """For the rest of this process."""
    gc.set_threshold(100_000, 20, 10)
