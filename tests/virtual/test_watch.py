"""The judgement of the watchdog, with times made up, and the reading of the console."""

from __future__ import annotations

from harness.virtual.console import ending, last_lines
from harness.virtual.watch import StallDetector

SPINNER, OTHER = (1, "peer"), (2, "ping")


def feed(samples, limit_s=10.0):
    """(wall seconds, virtual seconds, task) -> the first stall."""
    detector = StallDetector(limit_s)
    for wall_s, virtual_s, task in samples:
        if stall := detector.sample(wall_s, round(virtual_s * 1e9), task):
            return stall
    return None


def test_no_progress_is_a_stall_when_the_limit_is_over():
    assert feed([(t, 3.0, SPINNER) for t in range(10)]) is None  # until second 9
    stall = feed([(t, 3.0, SPINNER) for t in range(30)])
    assert stall is not None
    # the first sample (3 s at once) is progress, so waiting starts at second 0 and ends at second 10
    assert (stall.wall_s, stall.virtual_s, stall.process) == (10, 0.0, "peer")


def test_a_mix_of_processes_has_five_times_as_long():
    samples = [(t, 0.0, (t % 3, "peer")) for t in range(61)]
    assert feed(samples[:50]) is None
    stall = feed(samples)
    assert stall is not None
    assert (stall.wall_s, stall.process) == (50, None)


def test_a_kernel_that_boots_slowly_has_five_times_as_long():
    """Its own idle task is no process that could be to blame."""
    boot = [(t, 0.0, (0, "swapper")) for t in range(51)]
    assert feed(boot[:50]) is None
    stall = feed(boot)
    assert stall is not None
    assert (stall.wall_s, stall.process) == (50, None)
    # 11 s of booting, then 11 s of a process that computes: at second 22 it has half of the 23 samples
    stall = feed(boot[:11] + [(t, 0.0, SPINNER) for t in range(11, 30)])
    assert stall is not None
    assert (stall.wall_s, stall.process) == (21, "peer")


def test_a_slow_run_with_many_processes_goes_on():
    """0.02 virtual seconds a second, shared by two: slow, but nobody is to blame."""
    assert feed([(t, 0.02 * t, SPINNER if t % 2 else OTHER) for t in range(100)]) is None


def test_a_slow_run_of_one_process_is_a_loop_around_the_clock():
    stall = feed([(t, 0.02 * t, SPINNER) for t in range(100)])
    assert stall is not None
    assert stall.process == "peer"


def test_a_run_with_progress_goes_on_whoever_runs():
    assert feed([(t, 0.06 * t, SPINNER) for t in range(100)]) is None


def test_reasons_on_the_console(tmp_path):
    def reason(text):
        console = tmp_path / "console.log"
        console.write_text("first\n" + text)
        found = ending(console)
        return found and found[0]

    assert reason("sysrq: Power Off\n") is None
    assert reason("Kernel panic - not syncing: Attempted to kill init!\n") == "panic"
    assert reason("Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled\n") == "memory"
    assert reason("Kernel panic - not syncing: The system was going to sleep forever, aborting\n") == "asleep"


def test_last_lines_of_a_console(tmp_path):
    console = tmp_path / "console.log"
    assert last_lines(console) == ""
    console.write_text("a\r\nb\r\n\r\nc\r\n")
    assert last_lines(console, 3) == "b\nc"
