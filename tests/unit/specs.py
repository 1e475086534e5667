"""A small valid spec as text, for tests that change one thing at a time."""

from pathlib import Path

from harness.plan.build import make_plan
from harness.plan.model import Plan
from harness.spec import load_spec

SMALL = """\
name: small
duration: 30 s
topology:
  generator: regions
  regions: {west: 3, east: 2}
links:
  access: {delay: 5 ms, rate: 10 Mbit/s}
  between: {delay: 20 ms}
overlays:
  flooding:
    protocol: flooding
    peers: all
    graph: {generator: ring}
  tracker:
    protocol: tracker
    peers:
      - {role: tracker, on: west3}
      - {role: client, on: all except west3}
items: 4
workload:
  - publish: {copies: 2, by: all except west3}
    at: 1 s
  - lookup: {by: all except west3}
    from: 2 s
    to: 20 s
    rate: 2 /s
faults:
  - {link_down: west-east, from: 5 s, to: 10 s}
"""


def plan_of(directory: Path, text: str = SMALL, *settings: str) -> Plan:
    path = directory / "spec.yaml"
    path.write_text(text)
    spec, document = load_spec(path, settings)
    return make_plan(spec, document)
