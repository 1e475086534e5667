"""What all tests need."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is; speed belongs to benchmarks/. Continuous integration tries the
# same examples each time: what it refuses, the change has broken.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Ctrl-C works in what tests start, even where they run in the background of a script, which has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
