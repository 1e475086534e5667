"""What all tests need."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Ctrl-C works in what tests start, even where they run in the background of a script, which has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
