"""From the clock of a capture (CLOCK_REALTIME) to the time of the run, by what the capturing process noted of both."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from harness.errors import RecordError

NOTE = re.compile(r"at_ns=(\d+) realtime_offset_ns=(-?\d+)")


def run_seconds(
    time_ns: npt.NDArray[np.int64], comments: Iterable[str], t0_ns: int, path: object
) -> tuple[npt.NDArray[np.float64], float]:
    """Seconds after `t0_ns` (on the run's monotonic clock) of time stamps since 1970, and of the end of the capture.

    The offset between the clocks is noted when a capture starts and when it ends; between the two it is taken to
    change evenly, as a clock does that is being corrected. Raises RecordError where none is noted.
    """
    notes = [(int(note[1]), int(note[2])) for comment in comments if (note := NOTE.search(comment))]
    if not notes:
        raise RecordError(f"{path}: the capture does not say how its clock relates to the run's; was it made by `run`?")
    (first_ns, offset_ns), (last_ns, last_offset_ns) = notes[0], notes[-1]
    drift = (last_offset_ns - offset_ns) / max(last_ns - first_ns, 1)
    # Exact in integers up to the drift, which is small: a double holds no nanoseconds since 1970.
    every_ns = np.append(time_ns, max(last_ns, int(time_ns.max(initial=0))))
    every_s = (every_ns - (offset_ns + t0_ns) - drift * (every_ns - first_ns)) / 1e9
    return every_s[:-1], float(every_s[-1])
