"""One sentence under each figure that says what to see there, with the numbers of this very run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.analysis.dataset import Dataset
from harness.analysis.metrics import METRICS
from harness.analysis.windows import Window
from harness.plots.panels import phases

Caption = Callable[[Dataset], str]


def success_over_time(data: Dataset) -> str:
    worst = _worst(data)
    rates = _each(data, "success_rate", worst, "{:.0%}")
    before = next((w for w in data.windows if w.kind == "before"), None)
    text = f"Lookups that succeed {_when(worst)}: {rates}"
    if before and before.to_s != worst.to_s:
        text += f"; before any fault: {_each(data, 'success_rate', before, '{:.0%}')}"
    return f"{text}. Each point is a few seconds; bands are 95 % intervals; grey is where faults are active."


def _worst(data: Dataset) -> Window:
    """The stretch in which fewest lookups succeed over all overlays."""
    candidates = [w for w in data.windows if w.kind == "segment"] or list(data.windows[:1])
    rated = [(METRICS["success_rate"](data.within(w)), w) for w in candidates]
    known = [(rate, number) for number, (rate, _) in enumerate(rated) if not math.isnan(rate)]
    return candidates[min(known)[1]] if known else candidates[0]


def downloads_over_time(data: Dataset) -> str:
    run = data.windows[0]
    last = _each(data, "download_last_s", run, "{:.1f} s")
    text = f"Downloads that are complete at the end: {_each(data, 'download_success_rate', run, '{:.0%}')}"
    text += f"; median time: {_each(data, 'download_p50_s', run, '{:.1f} s')}" if len(data.view().downloaded) else ""
    text += f"; from the first begin to the last end: {last}" if last != "unknown" else ""
    return f"{text}. The thin line is what was asked for by then."


def deliveries_by_time(data: Dataset) -> str:
    run = data.windows[0]
    halves = _each(data, "time_to_50_ms", run, "{:,.0f} ms")
    nines = _each(data, "time_to_90_ms", run, "{:,.0f} ms")
    copies = _each(data, "copies_per_delivery", run, "{:.1f}")
    text = (
        f"Share of peers that a message reaches in the end: {_each(data, 'reach', run, '{:.1%}')}; half of them after"
    )
    text = f"{text} {halves}, nine of ten after {nines}; copies that a peer gets of each: {copies}."
    return f"{text} Lines are medians over the messages; bands hold the middle half and nine of ten."


def chain_heights(data: Dataset) -> str:
    run = data.windows[0]
    blocks = _each(data, "blocks", run, "{:.0f}")
    stale = _each(data, "stale_share", run, "{:.0%}")
    deepest = _each(data, "reorg_depth_max", run, "{:.0f}")
    text = f"Blocks mined: {blocks}; of these not in the chain of most peers in the end: {stale}."
    return f"{text} Most blocks that a peer left at once for a longer chain: {deepest}. Each line is one peer's chain."


def load_per_peer(data: Dataset) -> str:
    shares = _each(data, "load_max_share", data.windows[0], "{:.0%}")
    return (
        f"Share of an overlay's messages that pass its busiest peer: {shares}. On the right, the further a curve hangs "
        "below the straight line, the fewer peers do most of the work; Gini 0: all alike, towards 1: one does it all."
    )


def degrees(data: Dataset) -> str:
    run = data.windows[0]
    parts = [("neighbours of a peer, on average", "degree_mean", "{:.1f}"), ("clustering", "clustering", "{:.2f}")]
    parts += [("mean path over neighbours", "path_length_mean", "{:.1f} hops")]
    told = "; ".join(f"{words}: {_each(data, metric, run, form)}" for words, metric, form in parts)
    return f"At the end of the run. {told[0].upper()}{told[1:]}."


def overlay_map(data: Dataset) -> str:
    during = next((w for w in phases(data) if w.kind == "fault"), phases(data)[0])
    parts = [(overlay, data.within(during, overlay).parts) for overlay in data.overlays]
    torn = [f"{overlay} into {len(found)}" for overlay, found in parts if len(found) > 1]
    whole = [overlay for overlay, found in parts if len(found) == 1]
    told = [f"{_list(torn)} parts (colour and shape of the dots)"] if torn else []
    told += [f"{_list(whole)} stayed whole"] if whole else []
    return (
        f"Lines join peers between whom a message arrived, over the links in grey. {_when(during).capitalize()}: "
        f"{'; '.join(told)}."
    )


def latency_cdf(data: Dataset) -> str:
    medians = _each(data, "latency_p50_ms", data.windows[0], "{:.0f} ms")
    tails = _each(data, "latency_p90_ms", data.windows[0], "{:.0f} ms")
    return (
        f"Median of answered lookups over the whole run: {medians}; nine of ten within {tails}. Each curve ends at the "
        "share that was answered at all."
    )


def cost_per_lookup(data: Dataset) -> str:
    run = data.windows[0]
    messages = _each(data, "messages_per_lookup", run, "{:,.1f}")
    sizes = _each(data, "bytes_per_lookup", run, "{:,.0f}")
    return (
        f"Messages that one lookup causes, on average: {messages}; bytes without headers: {sizes}. "
        "Boxes hold the middle half of all lookups, whiskers nine of ten; answers from a peer's own store do not count."
    )


def hops(data: Dataset) -> str:
    return f"Overlay hops to the answer, on average: {_each(data, 'hops_mean', data.windows[0], '{:.1f}')}."


def lookups_raster(data: Dataset) -> str:
    lookups = data.view().lookups
    failed = lookups[~lookups["ok"].astype(bool)]
    text = f"{len(lookups):,} lookups, {len(failed):,} of them failed (red crosses)"
    if len(failed):
        reason, count = next(iter(failed["reason"].value_counts().items()))
        text += f", most often with “{reason}” ({count / len(failed):.0%})"
    return f"{text}. Every row is a host; the same lookups are asked of each overlay at the same moments."


def traffic_over_time(data: Dataset) -> str:
    total = data.traffic[(data.traffic["kind"] == "host") & (data.traffic["direction"] == "sent")]
    mean = {
        overlay: total[total["overlay"] == overlay]["bytes"].sum() * 8e-3 / max(data.end_s, 1.0)
        for overlay in data.overlays
    }
    told = _list([f"{overlay} {rate:.3g} kbit/s" for overlay, rate in mean.items()])
    return f"All hosts together send, on average: {told}. Two seconds are averaged for each point."


def traffic_by_place(data: Dataset) -> str:
    run = data.windows[0]
    busiest = data.traffic[data.traffic["kind"] == "link"].groupby("name", observed=True)["bytes"].sum()
    shares = _each(data, "load_max_share", run, "{:.0%}")
    link = f"The busiest link is {busiest.idxmax()}. " if len(busiest) else ""
    return f"{link}Share of an overlay's messages that pass its busiest peer: {shares}."


def fidelity(data: Dataset) -> str:
    parts = []
    for phase, words in (("before", "on the idle network"), ("during", "while the experiment ran")):
        errors = data.paths.loc[data.paths["phase"] == phase, "error_ms"].dropna().abs()
        if len(errors):
            parts.append(f"{errors.median():.2f} ms {words} (largest {errors.max():.2f} ms, {len(errors)} paths)")
    return (
        f"Error of the median one-way delay: {_list(parts)}. Points belong on the line; their bars, which show what "
        "chance may do, reach into the band."
    )


def machine(data: Dataset) -> str:
    table = data.pressure[(data.pressure["t_s"] >= 0) & (data.pressure["t_s"] <= data.end_s)]
    parts = []
    if "cpu_busy_pct" in table:
        parts.append(f"processors were busy {table['cpu_busy_pct'].mean():.0f} % of the time")
    if "cpu_stolen_pct" in table and table["cpu_stolen_pct"].mean() >= 0.5:
        parts.append(f"other guests of the same computer took {table['cpu_stolen_pct'].mean():.0f} %")
    if "late_p99_ms" in table:
        parts.append(
            f"delay lines let 99 % of packets go within {table['late_p99_ms'].median():.2f} ms of their moment"
        )
    return f"{_list(parts).capitalize()}."


CAPTIONS: dict[str, Caption] = {
    "success_over_time": success_over_time,
    "downloads_over_time": downloads_over_time,
    "deliveries_by_time": deliveries_by_time,
    "chain_heights": chain_heights,
    "overlay_map": overlay_map,
    "latency_cdf": latency_cdf,
    "cost_per_lookup": cost_per_lookup,
    "hops": hops,
    "lookups_raster": lookups_raster,
    "load_per_peer": load_per_peer,
    "degrees": degrees,
    "traffic_over_time": traffic_over_time,
    "traffic_by_place": traffic_by_place,
    "fidelity": fidelity,
    "machine": machine,
}


def _each(data: Dataset, metric: str, window: Window, form: str) -> str:
    """ "flooding 12, tracker 2 and dht 9": one metric of every overlay that has it."""
    values = [(overlay, METRICS[metric](data.within(window, overlay))) for overlay in data.overlays]
    return _list([f"{overlay} {form.format(value)}" for overlay, value in values if not math.isnan(value)]) or "unknown"


def _when(window: Window) -> str:
    if window.kind == "run":
        return "over the whole run"
    label = window.label.partition(" (")[0]
    return f"from {window.from_s:.0f} to {window.to_s:.0f} s ({label})"


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
