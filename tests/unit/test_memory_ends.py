"""How a peer in memory ends: in order with a goodbye, or without a word."""

import pytest
from specs import plan_of

from harness.memory import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct

TRACKED = """\
name: ends
duration: 20 s
topology: {generator: star, hosts: 3}
links: {access: {delay: 10 ms}}
overlays:
  tracker:
    protocol: tracker
    peers:
      - {role: tracker, on: h1}
      - {role: client, on: [h2, h3]}
items: 1
workload:
  - {publish: {copies: 1, by: h2}, at: 1 s}
  - {lookup: {by: h3}, at: 15 s}
faults:
"""


def found_after(tmp_path, *faults):
    """Whom h3 finds in the end, and with which status h2 ended."""
    plan = plan_of(tmp_path, TRACKED + "".join(f"  - {{{fault}}}\n" for fault in faults))
    run_dir = RunDir(tmp_path / "run").create()
    run_dir.plan.write_text(plan.to_json())
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    rows = list(read_lines(run_dir.events))
    [lookup] = [row for row in rows if row["event"] == "op_end" and row["peer"] == "tracker-h3"]
    exits = [row["status"] for row in rows if row["event"] == "exit" and row["peer"] == "tracker-h2"]
    return lookup["providers"], exits[0]


@pytest.mark.parametrize(
    ("faults", "found", "status"),
    [
        (["stop: tracker-h2, at: 5 s"], 0, 0),  # the tracker was told
        (["crash: tracker-h2, at: 5 s"], 1, -9),  # it was not, and still believes in h2
    ],
)
def test_who_stops_says_goodbye_and_who_crashes_does_not(tmp_path, faults, found, status):
    providers, ended = found_after(tmp_path, *faults)
    assert (len(providers), ended) == (found, status)
