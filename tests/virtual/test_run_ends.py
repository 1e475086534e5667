"""`harness run --clock virtual` that cannot come to its end: what was measured is judged, the reason told."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from harness import cli
from harness.records import RunDir, read_json, read_lines
from harness.virtual import boot, kernel

pytestmark = pytest.mark.virtual

# Two peers of ours, and a program that works for five seconds and then computes for ever.
SPEC = """\
name: spinning
seed: 3
duration: 20 s
topology: {generator: star, hosts: 3}
links:
  access: {delay: 2 ms}
overlays:
  dht:
    protocol: dht
    peers:
      - {on: [h1, h2], role: node}
      - on: h3
        role: node
        command: {program: sh, arguments: [-c, "sleep 5; exec python3 -c 'while True: pass'"]}
items: 2
workload:
  - {publish: {copies: 1, by: [h1]}, at: 0 s}
  - {lookup: {popularity: uniform, by: [h2]}, from: 0.2 s, to: 18 s, rate: 4 /s}
"""


def test_a_peer_that_computes_for_ever_is_named_and_what_was_measured_is_judged(
    built_kernel: kernel.Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "run", functools.partial(boot.run, stall_limit_s=40.0, wall_limit_s=300.0))
    spec = tmp_path / "spinning.yaml"
    spec.write_text(SPEC)
    results = tmp_path / "results"
    words = ["run", str(spec), "--clock", "virtual", "--memory", "512M", "--results-root", str(results), "--json"]
    assert cli.main(words) == 2
    run = RunDir((results / "spinning" / "latest").resolve())
    manifest = read_json(run.manifest)
    assert (manifest["end"], manifest["begun"], manifest["guest"]["reason"]) == ("failed", True, "watchdog")
    assert "'python3' had the processor (process id " in manifest["error"]
    assert "watchdog" in read_json(run.verdict)["reasons"][0]
    ended = [event for event in read_lines(run.events) if event["event"] == "op_end"]
    assert 5 <= len(ended) <= 25  # about 4 a second until the fifth, less what had not been written down yet
