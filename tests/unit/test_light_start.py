"""What a user waits for before anything happens: to check a spec, nothing may load the libraries of the analysis."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys
import harness.commands.experiments, harness.analysis.metrics
print(*sorted({"pandas", "scipy", "matplotlib", "pyarrow", "scapy"} & set(sys.modules)))
"""


def test_a_spec_is_checked_without_the_libraries_of_the_analysis() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


WORKER = """
import sys
import harness.emulation.worker, harness.emulation.engine, harness.run
print(*sorted({"pandas", "networkx", "harness.spec.load", "harness.plan.selectors"} & set(sys.modules)))
"""


def test_a_run_is_carried_out_without_what_made_its_plan() -> None:
    """In virtual time each of its modules is a file to be read through a slow file system."""
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
