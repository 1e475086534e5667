"""From which figure on a run is doubted or thrown away: one table, each line with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Threshold:
    """A measured figure above `suspect` makes a run SUSPECT, above `invalid` INVALID."""

    suspect: float
    invalid: float
    unit: str
    reason: str


NEVER = inf  # a hint, never a proof by itself

THRESHOLDS = {
    "delay_before_ms": Threshold(
        1.0, 5.0, "ms",
        "error of a path's median delay on the idle network; the backends reach 0.3 ms one way, LAN studies need 1 ms",
    ),
    "delay_before_share": Threshold(
        0.05, 0.25, "of the planned delay",
        "on long paths 5 % is below what routes of the real Internet change from day to day",
    ),
    "delay_during_ms": Threshold(
        2.0, 10.0, "ms",
        "the same while peers work: they share the processors with the network's own delay lines",
    ),
    "delay_during_share": Threshold(0.10, 0.5, "of the planned delay", "the same, for long paths"),
    "delay_traffic_ms": Threshold(
        2.0, 20.0, "ms", "the same of all captured packets together, median over the pairs of hosts that talk"
    ),
    "delay_traffic_share": Threshold(0.10, 1.0, "of the planned delay", "the same, for long paths"),
    "loss_confidence": Threshold(
        0.999, 1 - 1e-9, "",
        "lost probes outside this interval around the plan: by chance one run in 1000 is doubted, none thrown away",
    ),
    "queue_loss": Threshold(
        0.003, 1.0, "of all packets",
        "loss beyond the plan that full queues in front of rate limits may account for",
    ),
    "capture_dropped": Threshold(0.0, 0.01, "of all frames", "traffic figures are short by what the kernel dropped"),
    "unplanned_dropped": Threshold(
        0.0, 0.001, "of all packets", "packets that the emulation itself lost: loss that nobody asked for"
    ),
    "step_late_ms": Threshold(
        50.0, 500.0, "ms", "how late an order of the timeline was given: orders are seconds apart, bins are too"
    ),
    "shaper_late_ms": Threshold(
        5.0, 50.0, "ms",
        "99th percentile of how late the delay lines let packets go, in the typical second; an idle virtual machine "
        "wakes a real-time process up to 6 ms late one time in 100. What that does to delays, the delays show",
    ),
    "cpu_waiting_pct": Threshold(
        50.0, NEVER, "% of the time",
        "time in which some process waited for a processor (PSI), over the timeline: delays are then the machine's",
    ),
    "cpu_busy_pct": Threshold(
        90.0, NEVER, "%", "mean load of all processors: peers may wait for each other; what that does, the delays show"
    ),
    "cpu_stolen_pct": Threshold(
        25.0, NEVER, "%", "time in which the machine, itself a guest, was not let run: all in it stands still then"
    ),
}  # fmt: skip
