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
