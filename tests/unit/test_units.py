"""Quantities: hand-made values, and messages that say what is allowed."""

from random import Random

import pytest

from harness.spec.units import Draw, draw_of, duration_ms, duration_s, frequency_hz, percent, rate_mbit, size_bytes


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (duration_ms, "50 ms", 50.0),
        (duration_ms, "1.5 s", 1500.0),
        (duration_ms, "250us", 0.25),
        (duration_s, "2 min", 120.0),
        (rate_mbit, "18 Mbit/s", 18.0),
        (rate_mbit, "1 MB/s", 8.0),
        (rate_mbit, "512 kbit", 0.512),
        (percent, "1 %", 1.0),
        (percent, "0.5%", 0.5),
        (size_bytes, "64 KiB", 65536),
        (size_bytes, "1 MB", 1_000_000),
        (frequency_hz, "2 per second", 2.0),
        (frequency_hz, "30 /min", 0.5),
        (duration_ms, 0, 0.0),
    ],
)
def test_quantities(parse, text, value):
    assert parse(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (duration_ms, "50", "has no unit"),
        (duration_ms, 50, "has no unit"),
        (duration_ms, "50 mms", "unknown unit 'mms'"),
        (duration_ms, "-5 ms", "negative"),
        (duration_ms, "fast", "not a duration"),
        (duration_ms, True, "not a duration"),
        (percent, "101 %", "more than 100"),
        (rate_mbit, "10 ms", "unknown unit 'ms'"),
    ],
)
def test_wrong_quantities_say_what_is_allowed(parse, text, says):
    with pytest.raises(ValueError, match=says):
        parse(text)


def test_draws():
    rng = Random(1)
    assert draw_of("20 ms", duration_ms) == Draw("constant", (20.0,))
    assert draw_of("uniform(1 s, 2 s)", duration_ms) == Draw("uniform", (1000.0, 2000.0))
    assert draw_of("lognormal(20 ms, 0.5)", duration_ms) == Draw("lognormal", (20.0, 0.5))
    uniform = [draw_of("uniform(10 ms, 20 ms)", duration_ms).draw(rng) for _ in range(500)]
    assert 10 <= min(uniform) < 10.5
    assert 19.5 < max(uniform) <= 20
    normal = draw_of("normal(1 ms, 5 ms)", duration_ms)
    assert min(normal.draw(rng) for _ in range(100)) == 0.0  # a delay is never below zero


@pytest.mark.parametrize("text", ["gauss(1 ms, 2 ms)", "uniform(1 ms)", "lognormal(1 ms, 2 ms)", "pareto(1 ms, 0)"])
def test_wrong_draws(text):
    with pytest.raises(ValueError):
        draw_of(text, duration_ms)
