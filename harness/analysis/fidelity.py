"""Did the network do what the plan says? Each check compares something measured with the plan or a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.analysis import flights, splits
from harness.analysis.dataset import Dataset
from harness.analysis.rows import rows
from harness.analysis.statistics import binomial_range
from harness.analysis.thresholds import THRESHOLDS

VALID, SUSPECT, INVALID = "VALID", "SUSPECT", "INVALID"
LEVELS = (VALID, SUSPECT, INVALID)
WRONG_SHOWN = 5  # lines of one kind
HIDDEN = "capture_snap"  # the check that tells of messages which a short snap length leaves out


@dataclass(frozen=True)
class Check:
    """One line of the verdict: what was looked at, what it says of the run, and the figures in words."""

    name: str
    level: str
    text: str


def checks(data: Dataset) -> list[Check]:
    """All checks that apply to this run, in the order of the report."""
    return [check for examine in CHECKS for check in examine(data)]


def level(name: str, value: float) -> str:
    """What a figure says by its threshold."""
    threshold = THRESHOLDS[name]
    return INVALID if value > threshold.invalid else SUSPECT if value > threshold.suspect else VALID


# ---- what was measured on the network ----


def delay(data: Dataset) -> Iterator[Check]:
    """Median one-way delay of each probed path; its worst excess over the tolerance decides."""
    for phase in ("before", "during"):
        paths = data.paths[(data.paths["phase"] == phase) & data.paths["median_ms"].notna()]
        if paths.empty:
            continue
        grades = [_delay_level(row, phase) for row in rows(paths)]
        worst = paths.iloc[paths["error_ms"].abs().argmax()]
        wrong = [grade for grade in grades if grade != VALID]
        where = f"{worst['source']} to {worst['target']}{_over(worst['family'])}"
        text = (
            f"one-way delay {phase} the run: {len(paths)} paths, median error "
            f"{paths['error_ms'].abs().median():.2f} ms, "
            f"largest {worst['error_ms']:+.2f} ms ({where}: planned "
            f"{worst['planned_delay_ms']:.2f} ms, measured {worst['median_ms']:.2f} ms)"
        )
        text += f"; {len(wrong)} of {len(paths)} paths beyond the tolerance" if wrong else ""
        yield Check(f"delay_{phase}", max(grades, key=LEVELS.index), text)


def _over(family: str) -> str:
    return {"ipv4": " over IPv4", "ipv6": " over IPv6"}.get(family, "")


def _delay_level(path: dict[str, Any], phase: str) -> str:
    """The tolerance is the larger of an absolute and a relative one, plus what chance does to a median.

    While the experiment runs, packets wait in the queues of rate-limited links as they should: too long a delay is
    then a doubt at most, never a proof.
    """
    allowance_ms = path["chance_ms"] + path["sending_ms"]
    absolute, relative = THRESHOLDS[f"delay_{phase}_ms"], THRESHOLDS[f"delay_{phase}_share"]
    error_ms, planned_ms = path["error_ms"], path["planned_delay_ms"]
    if abs(error_ms) > max(absolute.invalid, relative.invalid * planned_ms) + allowance_ms:
        return SUSPECT if phase == "during" and error_ms > 0 else INVALID
    if abs(error_ms) > max(absolute.suspect, relative.suspect * planned_ms) + allowance_ms:
        return SUSPECT
    return VALID


def loss(data: Dataset) -> Iterator[Check]:
    """Lost probes of all paths together, against the binomial interval around the plan."""
    for phase in ("before", "during"):
        paths = data.paths[data.paths["phase"] == phase]
        sent = int(paths["sent"].sum())
        if not sent:
            continue
        lost = int(paths["lost"].sum())
        expected = float((paths["sent"] * paths["planned_loss_pct"]).sum()) / 100
        burst = float(paths["burst"].max())
        crowded = min(_queue_full(data), lost) if phase == "during" else 0
        grade = min(
            (_loss_level(some, sent, expected / sent, burst) for some in (lost, lost - crowded)), key=LEVELS.index
        )
        low, high = binomial_range(sent, expected / sent, 0.99)
        why = f"; up to {crowded} of them in full queues, which were counted" if crowded else ""
        yield Check(
            f"loss_{phase}", grade,
            f"loss {phase} the run: {lost} of {sent} probes lost, planned {expected:.1f} (99 %: {low} to {high}){why}",
        )  # fmt: skip


def _queue_full(data: Dataset) -> int:
    """Packets that the queues before rate limits dropped because they were full, as the kernel counted them."""
    return int((data.manifest.get("statistics", {}).get("shaping") or {}).get("queue_full", 0))


def _loss_level(lost: int, sent: int, chance: float, burst: float) -> str:
    """Losses in runs vary more: as much as if only one probe in (2 burst - 1) were independent (Gilbert model)."""
    threshold = THRESHOLDS["loss_confidence"]
    spread = 2 * burst - 1
    for grade, confidence in ((VALID, threshold.suspect), (SUSPECT, threshold.invalid)):
        low, high = binomial_range(max(1, round(sent / spread)), chance, confidence)
        if math.floor(low * spread) <= lost <= math.ceil(high * spread):
            return grade
    return INVALID


def traffic(data: Dataset) -> Iterator[Check]:
    """Delay and loss of the captured packets themselves, on paths that no fault touched."""
    paths = data.flight_paths
    if paths.empty:
        return
    number, lost, expected = flights.totals(paths)
    errors = paths["error_ms"].abs()
    share = (errors / paths["planned_delay_ms"].clip(lower=1e-3)).median()
    grades = level("delay_traffic_ms", float(errors.median())), level("delay_traffic_share", float(share))
    yield Check(
        "delay_traffic", min(grades, key=LEVELS.index),
        f"one-way delay of {number:,} packets, {len(paths)} pairs of hosts: median error {errors.median():.2f} ms",
    )  # fmt: skip
    low, high = binomial_range(number, expected / number, THRESHOLDS["loss_confidence"].suspect)
    crowded = _queue_full(data)
    allowance = max(crowded, THRESHOLDS["queue_loss"].suspect * number) if paths["rated"].any() else 0.0
    grade = VALID if low <= lost <= high + allowance else SUSPECT
    why = f", and {crowded:,} in all full queues, which were counted" if crowded else ""
    text = f"loss of the same packets: {lost:,}, planned {expected:.0f} ({low} to {high}){why}"
    yield Check("loss_traffic", grade, text)


def faults(data: Dataset) -> Iterator[Check]:
    """Every fault must be confirmed by its own probes."""
    if data.faults.empty:
        return
    wrong = data.faults[~data.faults["ok"].astype(bool)]
    for row in rows(wrong):
        yield Check("faults", INVALID, f"fault {row['fault']} ({row['label']}) is not confirmed: {row['detail']}")
    late_ms = float(data.faults["late_ms"].max())
    if wrong.empty:
        number = len(data.faults)
        text = f"{number} fault{'s' if number > 1 else ''} confirmed by {int(data.faults['checks'].sum())} checks"
        yield Check("faults", VALID, f"{text}, applied at most {late_ms:.0f} ms late")


def multipath(data: Dataset) -> Iterator[Check]:
    """Where each packet takes any of several equally short ways, all must be taken, as often as planned."""
    if data.plan.network.multipath == "none" or data.manifest.get("t0_ns") is None:
        return
    table = data.splits
    wrong = list(splits.wrong(table))
    for text in wrong[:WRONG_SHOWN]:
        yield Check("multipath", INVALID, text)
    if not wrong and table.empty:
        text = "multipath: of no two hosts have ways that probes can tell apart by their delay: nothing was measured"
        yield Check("multipath", SUSPECT, text)
    elif not wrong:
        pairs = table.groupby(["source", "target", "family"]).ngroups
        text = f"{int(table['probes'].sum())} probes of {pairs} pairs took {len(table)} ways as often as planned"
        yield Check("multipath", VALID, f"multipath: {text}")


def reachability(data: Dataset) -> Iterator[Check]:
    """Every gateway must map, filter and let in as planned, as packets met it before the peers started."""
    if not data.plan.gateways or data.manifest.get("t0_ns") is None:
        return
    table = data.reachability
    unknown = {g.node for g in data.plan.gateways} - {name for some in table["gateways"] for name in some.split()}
    if unknown:
        text = f"nobody found out what {', '.join(sorted(unknown))} let pass"
        yield Check("reachability", INVALID, text)
    wrong = table[~table["ok"]]
    for row in rows(wrong.head(WRONG_SHOWN)):
        yield Check(
            "reachability", INVALID,
            f"{row['aspect']} of {row['name']} behind {row['gateways'] or 'no gateway'} ({row['kind']}): planned "
            f"{row['planned']}, measured {row['measured']}",
        )  # fmt: skip
    if wrong.empty and not unknown:
        text = (
            f"reachability: {len(data.plan.gateways)} gateways map, filter and let in as planned ({len(table)} tests)"
        )
        yield Check("reachability", VALID, text)


# ---- what the harness lost ----


def capture(data: Dataset) -> Iterator[Check]:
    """Frames that the kernel dropped before they could be recorded."""
    if data.plan.capture is None:
        return
    statistics = data.manifest.get("statistics", {}).get("capture") or {}
    if len(data.packets) and data.capture_note:
        yield Check("capture", SUSPECT, f"{data.capture_note}: traffic after that is not known")
    if data.hidden:
        text = (
            f"messages begin in {data.hidden:,} captured segments beyond the first {data.plan.capture.snap_bytes} bytes"
        )
        yield Check(HIDDEN, VALID, f"{text}: these are not in wire_messages; raise 'capture: snap' to have them")
    if statistics.get("error"):
        yield Check("capture", INVALID, f"the capture is not complete: {statistics['error']}")
    if not statistics or not statistics.get("frames"):
        return  # engines without frames; an empty capture is found by `something`
    frames, dropped = int(statistics["frames"]), int(statistics.get("dropped", 0))
    text = f"capture: {frames:,} frames recorded, {dropped:,} dropped"
    yield Check("capture", level("capture_dropped", dropped / (frames + dropped)), text)


def unplanned_drops(data: Dataset) -> Iterator[Check]:
    """Packets that the emulation lost by itself: full kernel queues, overflowing buffers."""
    statistics = data.manifest.get("statistics", {})
    if "unplanned_drops" not in statistics:
        return
    dropped, handled = float(statistics["unplanned_drops"]), float(statistics.get("packets") or 0)
    share = dropped / (handled + dropped) if handled else float(dropped > 0)
    grade = level("unplanned_dropped", share)
    yield Check("unplanned_drops", grade, f"packets lost by the emulation itself: {dropped:,.0f} of {handled:,.0f}")


def timing(data: Dataset) -> Iterator[Check]:
    """How late the conductor was."""
    late_ms = data.manifest.get("worst_step_late_ms")
    if late_ms is not None:
        text = f"orders of the timeline were given at most {late_ms:.1f} ms late"
        yield Check("timing", level("step_late_ms", float(late_ms)), text)


def pressure(data: Dataset) -> Iterator[Check]:
    """Whether the machine kept up, over the timeline."""
    table = data.pressure[(data.pressure["t_s"] >= 0) & (data.pressure["t_s"] <= data.end_s)]
    wordings = {
        "late_p99_ms": ("shaper_late_ms", "median", "the delay lines let 99 % of packets go within {:.2f} ms"),
        "cpu_some_pct": ("cpu_waiting_pct", "mean", "some process waited for a processor {:.0f} % of the time"),
        "cpu_busy_pct": ("cpu_busy_pct", "mean", "processors busy {:.0f} % on average"),
        "cpu_stolen_pct": (
            "cpu_stolen_pct",
            "mean",
            "other guests of the same computer took {:.0f} % of its processors",
        ),
    }
    for column, (name, summary, words) in wordings.items():
        if column in table and table[column].notna().any():
            value = float(getattr(table[column].dropna(), summary)())
            yield Check(name.rsplit("_", 1)[0], level(name, value), words.format(value))


def something(data: Dataset) -> Iterator[Check]:
    """A run in which nothing happened proves nothing."""
    asked = any(step.do == "command" for step in data.plan.timeline)
    told = any(len(table) for table in (data.neighbours, data.blocks, data.heads))  # what peers do of themselves
    if data.operations.empty and (asked or not told):
        yield Check("operations", INVALID, "no operation was carried out: the run says nothing")
    traced = any(peer.trace for peer in data.plan.peers)
    if traced and data.messages.empty:
        yield Check("messages", INVALID, "peers sent no message at all")
    emulated = data.manifest.get("engine") != "memory"
    if data.plan.capture is not None and emulated and data.packets.empty:
        yield Check("packets", INVALID, "the capture holds no packet")


def ending(data: Dataset) -> Iterator[Check]:
    """Whether the run came to its planned end."""
    end, error = data.manifest.get("end"), data.manifest.get("error")
    reached = f"after {data.end_s:.0f} of {data.plan.duration_s:.0f} s"
    if end == "interrupted":
        yield Check("ending", INVALID, f"the run was interrupted {reached}; figures show what was measured until then")
    elif end != "finished":
        yield Check("ending", INVALID, f"the run failed {reached}: {error or 'no reason was recorded'}")


CHECKS: tuple[Callable[[Dataset], Iterable[Check]], ...] = (
    ending, something, reachability, multipath, faults, delay, loss, traffic, capture, unplanned_drops, timing,
    pressure,
)  # fmt: skip
