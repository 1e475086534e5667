"""A guest that cannot go on is ended, and the reason is said."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.virtual


def test_a_process_that_computes_for_ever_is_named(in_guest, tmp_path):
    script = f"sleep 5; echo kept > {tmp_path}/file; exec python3 -c 'while True: pass'"
    result = in_guest(script, stall_limit_s=3.0, writable=[tmp_path]).result
    assert (result.reason, result.exit_status) == ("watchdog", None)
    assert "'python3' had the processor (process id " in result.detail
    assert result.virtual_s == pytest.approx(5, abs=0.1)
    assert (tmp_path / "file").read_text() == "kept\n"


def test_a_loop_around_the_clock_is_caught(in_guest):
    """Every look at the clock moves it by 256 ns, so time does not stand still, and yet the run would take for ever."""
    script = "exec python3 -c 'import time\nwhile time.time() < 1e12: pass'"
    result = in_guest(script, stall_limit_s=3.0).result
    assert result.reason == "watchdog"
    assert "'python3' had the processor" in result.detail


def test_a_panic_is_reported_with_the_consoles_last_lines(in_guest):
    result = in_guest("echo c > /proc/sysrq-trigger").result
    assert (result.reason, result.exit_status) == ("panic", None)
    assert "sysrq triggered crash" in result.detail
    assert "sysrq triggered crash" in result.console.read_text()


def test_full_memory_is_reported(in_guest):
    script = "exec python3 -c 'b = [bytearray(1 << 20) for _ in range(4096)]'"
    result = in_guest(script, memory="192M").result
    assert (result.reason, result.exit_status) == ("memory", None)
    assert "panic_on_oom" in result.detail


@pytest.mark.parametrize("limit", [{"virtual_limit_s": 100.0}, {"wall_limit_s": 3.0}])
def test_limits_end_a_run(in_guest, limit):
    result = in_guest("while :; do sleep 0.5; done", **limit).result
    assert (result.reason, result.exit_status) == ("limit", None)


def test_a_second_interrupt_ends_the_guest(in_guest):
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    script = 'trap "echo still here" INT; echo up; while :; do sleep 0.001; done'
    assert in_guest(script, on_line=interrupt).result.reason == "killed"
