"""How long packets needed to go another way: measured by a train of probes that begins at the cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.view import View


def reroute_s(view: View) -> float:
    """Longest time from a cut in the window until packets took another way, in s, as probes met it."""
    checks = view.data.fault_checks
    measured = checks[checks["planned_s"].between(view.from_s, view.to_s)]["measured_s"].dropna()
    return float(measured.max()) if len(measured) else math.nan
