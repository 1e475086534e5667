"""Which windows of time get a panel of their own where a figure compares phases of a run."""

from __future__ import annotations

from harness.analysis.dataset import Dataset
from harness.analysis.windows import Window
from harness.faults import Block, SetLink
from topologies.paths import components

MARGIN_S = 0.5  # a change and what follows from it at once belong to neither side


def phases(data: Dataset) -> list[Window]:
    """Before, during and after the fault that matters most: of those that cut the network the one that leaves it in
    most parts (the first of them), else the first that ends.

    The whole run where there is none. "After" ends where the next fault begins, if that leaves anything.
    """
    faults = {window.name: window for window in data.windows if window.kind == "fault"}
    if not faults:
        return [window for window in data.windows if window.kind == "run"]
    cuts = [f.name for f in data.plan.faults if f.name in faults and any(_cuts(action) for action in f.apply)]
    ending = [name for name, window in faults.items() if window.to_s < data.end_s]
    deepest = max((name for name in cuts if name in ending), key=lambda name: _parts(data, faults[name]), default=None)
    chosen = faults[deepest or (ending or cuts or list(faults))[0]]
    found = (
        []
        if chosen.from_s <= 0
        else [Window("before", "before", 0.0, chosen.from_s, f"before ({span(0.0, chosen.from_s)})")]
    )
    found.append(
        Window(
            chosen.name,
            "fault",
            chosen.from_s,
            chosen.to_s,
            f"{_short(chosen.label)} ({span(chosen.from_s, chosen.to_s)})",
        )
    )
    if chosen.to_s + MARGIN_S < data.end_s:
        others = [float(t) for t in data.faults["from_s"] if t > chosen.to_s + MARGIN_S]
        until = min(others, default=data.end_s)
        found.append(Window("after", "after", chosen.to_s, until, f"after ({span(chosen.to_s, until)})"))
    return found


def links_down(data: Dataset, window: Window) -> set[str]:
    """Links that are down throughout the window."""
    begun = data.faults["from_s"] <= window.from_s + MARGIN_S
    active = data.faults[begun & ~(data.faults["to_s"] < window.to_s - MARGIN_S)]["fault"]
    return {a.link for name in active for a in data.plan.fault[name].apply if isinstance(a, SetLink) and not a.up}


def _parts(data: Dataset, window: Window) -> int:
    """Into how many parts the underlay falls."""
    return len(components(data.plan.topology, links_down(data, window)))


def _cuts(action: object) -> bool:
    return isinstance(action, Block) or (isinstance(action, SetLink) and not action.up)


def _short(label: str, most: int = 26) -> str:
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def span(from_s: float, to_s: float) -> str:
    """ "20 to 60 s"."""
    return f"{from_s:.0f} to {to_s:.0f} s"
