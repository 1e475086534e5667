"""Runs a small experiment in namespaces, as `harness run` does, and gives back what its peers told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.emulation.launch import run_emulated
from harness.errors import EnvironmentUnfit
from harness.manifest import first_manifest
from harness.plan.build import make_plan
from harness.plan.model import Plan
from harness.programs import check_programs
from harness.records import RunDir, read_json, read_lines, write_json
from harness.spec import load_spec

DRIVER = Path(__file__).resolve().parents[2] / "experiments" / "programs" / "libtorrent_peer.py"
ARIA2 = (
    "--no-conf, --enable-dht6=false, --bt-enable-lpd=false, --enable-peer-exchange=false, --file-allocation=none, "
    "--summary-interval=0, '--dir={data}', '--listen-port={port}'"
)
LIBTORRENT = f"""
  program: "{{python}}"
  arguments: ["{DRIVER}", "--listen={{address}}", "--bootstrap={{bootstraps}}"]
  events: json_lines
  needs: {{libtorrent: pip install libtorrent}}
"""


class Outcome:
    """A run that is over."""

    def __init__(self, plan: Plan, run_dir: RunDir) -> None:
        self.plan, self.run_dir = plan, run_dir
        self.events = list(read_lines(run_dir.events))

    def named(self, event: str, peer: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        return [
            found
            for found in self.events
            if found["event"] == event
            and peer in (None, found["peer"])
            and all(found.get(key) == value for key, value in fields.items())
        ]

    def ended(self, verb: str) -> dict[str, dict[str, Any]]:
        """By op: how those of a verb ended; every one that was planned has."""
        planned = {step.op for step in self.plan.timeline if step.verb == verb}
        ends = {end["op"]: end for end in self.named("op_end", verb=verb)}
        assert planned, f"no {verb} was planned"
        assert planned == set(ends), f"without an end: {sorted(planned - set(ends))}\n{self.logs()}"
        return ends

    def logs(self) -> str:
        parts = [f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in self.run_dir.logs.iterdir()]
        return "\n".join(parts)


def run(text: str, directory: Path) -> Outcome:
    """Carry the spec out. Skips where a program is missing."""
    (directory / "spec.yaml").write_text(text)
    spec, document = load_spec(directory / "spec.yaml")
    plan = make_plan(spec, document)
    try:
        check_programs(plan)
    except EnvironmentUnfit as error:
        pytest.skip(str(error))
    run_dir = RunDir(directory / "run")
    run_dir.path.mkdir()
    run_dir.create()
    run_dir.plan.write_text(plan.to_json())
    write_json(run_dir.manifest, first_manifest(plan, "run", "mininet", "real", directory / "spec.yaml", []))
    run_emulated(run_dir, lambda _message: None)
    manifest = read_json(run_dir.manifest)
    outcome = Outcome(plan, run_dir)
    assert manifest["end"] == "finished", f"{manifest['error']}\n{outcome.logs()}"
    return outcome
