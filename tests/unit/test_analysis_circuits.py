"""Lookups over circuits: who is asked, and what the model makes of a run's plan and faults."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from specs import SMALL, plan_of

from harness.analysis.circuits import circuits_dialled_share, circuits_leased_share, server_host
from harness.analysis.underlay import Underlay

RING = """\
name: ring
duration: 14 s
network: {circuits: {per_line: 2, hold: 2 s}}
topology: {generator: ring, nodes: 4, hosts_per_node: 1}
links: {core: {delay: 10 ms}}
overlays:
  server:
    protocol: tracker
    peers: [{role: tracker, on: h1}, {role: client, on: all except h1}]
faults:
  - {link_down: r1-r2, from: 3 s, to: 8 s}
"""


def view(plan: Any, from_s: float, to_s: float) -> Any:
    """Of lookups by h2 at 1, 2, 4 and 8 s."""
    lookups = pd.DataFrame({"planned_s": [1.0, 2.0, 4.0, 8.0], "host": "h2"})
    data = SimpleNamespace(plan=plan, underlay=Underlay(plan), view=lambda _overlay: SimpleNamespace(lookups=lookups))
    return SimpleNamespace(overlay="server", from_s=from_s, to_s=to_s, data=data)


def test_shares_of_what_was_asked_in_the_window(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING)
    # The second breaks at 3 s; the third goes by r3 and r4 when it is dialled.
    assert circuits_leased_share(view(plan, 0, 14)) == 2 / 4
    assert circuits_dialled_share(view(plan, 0, 14)) == 3 / 4
    assert circuits_leased_share(view(plan, 3, 8)) == 0
    assert circuits_dialled_share(view(plan, 3, 8)) == 1


def test_nothing_is_computed_unless_asked_for(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING.replace("network: {circuits: {per_line: 2, hold: 2 s}}\n", ""))
    assert circuits_dialled_share(view(plan, 0, 14)) != circuits_dialled_share(view(plan, 0, 14))  # NaN


def test_who_is_asked(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SMALL)
    assert server_host(plan, "tracker") == "west3"
    assert server_host(plan, "flooding") is None
