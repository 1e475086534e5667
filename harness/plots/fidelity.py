"""Is the network what the plan says? Configured against measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.analysis.rows import rows
from harness.analysis.statistics import wilson
from harness.analysis.thresholds import THRESHOLDS
from harness.plots.style import FAINT, INK, OVERLAY_COLOURS, RULE, NothingToDraw, new_figure, tidy

PHASES = {"before": (OVERLAY_COLOURS[0], "o", "idle network, before"), "during": (OVERLAY_COLOURS[1], "s", "during")}


def fidelity(data: Dataset) -> Figure:
    """One-way delay of every probed path and its error, and loss, each against the plan."""
    paths = data.paths[data.paths["median_ms"].notna()]
    if paths.empty:
        raise NothingToDraw("no path was probed")
    figure = new_figure(3.9)
    delays, errors, losses = figure.subplots(1, 3, width_ratios=[1, 1.15, 0.75])
    _delays(delays, paths)
    _errors(errors, paths)
    _losses(losses, data.paths)
    handles, labels = delays.get_legend_handles_labels()
    figure.legend(handles, labels, ncols=2, loc="outside upper left")
    return figure


def _delays(axes: Axes, paths: pd.DataFrame) -> None:
    tidy(axes)
    most = float(max(paths["planned_delay_ms"].max(), paths["p90_ms"].max(), 1.0)) * 1.08
    axes.plot([0, most], [0, most], color=FAINT, linewidth=1, zorder=1)
    for phase, (colour, marker, label) in PHASES.items():
        own = paths[paths["phase"] == phase]
        spread = np.clip(own["p90_ms"] - own["median_ms"], 0, None)
        axes.errorbar(
            own["planned_delay_ms"], own["median_ms"], yerr=np.array([np.zeros(len(own)), spread]), fmt=marker,
            color=colour, markersize=5.5, markerfacecolor="none" if phase == "before" else colour, elinewidth=1,
            alpha=0.9, label=label,
        )  # fmt: skip
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="planned, ms", ylabel="measured median, ms (bar: to 90 %)")
    axes.set_title("one-way delay")


def _errors(axes: Axes, paths: pd.DataFrame) -> None:
    """The tolerance is the band: a bar (what chance may do) that does not reach into it makes a run SUSPECT."""
    tidy(axes)
    planned = np.linspace(0, max(1.0, float(paths["planned_delay_ms"].max())) * 1.08, 50)
    tolerance = np.maximum(THRESHOLDS["delay_before_ms"].suspect, THRESHOLDS["delay_before_share"].suspect * planned)
    axes.fill_between(planned, -tolerance, tolerance, color=RULE, linewidth=0, zorder=0)
    axes.axhline(0, color=FAINT, linewidth=1)
    for phase, (colour, marker, _) in PHASES.items():
        own = paths[paths["phase"] == phase]
        axes.errorbar(
            own["planned_delay_ms"], own["error_ms"], yerr=own["chance_ms"], fmt=marker, color=colour, markersize=5.5,
            elinewidth=0.9, markerfacecolor="none" if phase == "before" else colour,
        )  # fmt: skip
    axes.set(xlim=(0, planned[-1]), xlabel="planned, ms", ylabel="measured − planned, ms")
    axes.set_title("error of the delay (band: tolerance)")


def _losses(axes: Axes, paths: pd.DataFrame) -> None:
    tidy(axes)
    for place, (phase, (colour, marker, _)) in enumerate(PHASES.items()):
        own = paths[paths["phase"] == phase]
        sent, lost = int(own["sent"].sum()), int(own["lost"].sum())
        if not sent:
            continue
        low, high = (100 * bound for bound in wilson(lost, sent, 2.5758))  # 99 %
        share = 100 * lost / sent
        axes.errorbar(
            place, share, yerr=np.clip([[share - low], [high - share]], 0, None), fmt=marker, color=colour,
            markersize=6, capsize=4, markerfacecolor="none" if phase == "before" else colour,
        )  # fmt: skip
        planned = sum(row["sent"] * row["planned_loss_pct"] for row in rows(own)) / sent
        axes.plot([place - 0.3, place + 0.3], [planned, planned], color=INK, linewidth=2.2)
        axes.annotate(f"{lost} of {sent}", (place, high), xytext=(0, 4), textcoords="offset points", ha="center",
                      fontsize=8, color=FAINT)  # fmt: skip
    axes.set_xticks([0, 1], ["before", "during"])
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    axes.set_ylabel("probes lost, % (99 % interval)")
    axes.set_title("loss (line: plan)")


def machine(data: Dataset) -> Figure:
    """How busy the machine was while it emulated."""
    from harness.plots.timeline import with_faults

    table = data.pressure[(data.pressure["t_s"] >= 0) & (data.pressure["t_s"] <= data.end_s)]
    shares = {
        "cpu_busy_pct": "processors busy", "cpu_some_pct": "someone waits for a processor",
        "cpu_stolen_pct": "taken by other guests",
    }  # fmt: skip
    known = {name: label for name, label in shares.items() if name in table and table[name].notna().any()}
    late = "late_p99_ms" in table and table["late_p99_ms"].notna().any()
    if not known and not late:
        raise NothingToDraw("the engine does not load the machine: its clock is simulated")
    figure = new_figure(3.9 if known and late else 2.6)
    panels = with_faults(figure, data, int(bool(known)) + int(late))
    for (name, label), colour, line in zip(known.items(), OVERLAY_COLOURS, ("-", "--", "-."), strict=False):
        panels[0].plot(table["t_s"], table[name], color=colour, linestyle=line, linewidth=1.5, label=label)
    if known:
        panels[0].set(ylim=(0, 100), ylabel="% of the time")
    if late:
        panels[-1].plot(table["t_s"], table["late_p99_ms"], color=OVERLAY_COLOURS[3], linewidth=1.5)
        panels[-1].axhline(THRESHOLDS["shaper_late_ms"].suspect, color=FAINT, linewidth=1, linestyle=":")
        panels[-1].set_ylim(bottom=0)
        panels[-1].set_ylabel("delay lines late,\nms (p99)")
    if known:
        handles, labels = panels[0].get_legend_handles_labels()
        panels[-1].legend(handles, labels, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.35), handlelength=2.8)
    return figure
