"""Quantities as people write them ("50 ms", "1 %") and as the code uses them (numbers with the unit in the name)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from random import Random
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

DURATION_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "min": 60e3, "h": 3600e3}
RATE_MBIT = {
    "bit/s": 1e-6, "kbit/s": 1e-3, "Mbit/s": 1.0, "Gbit/s": 1e3, "bit": 1e-6, "kbit": 1e-3, "Mbit": 1.0, "Gbit": 1e3,
    "B/s": 8e-6, "kB/s": 8e-3, "MB/s": 8.0, "KiB/s": 8.192e-3, "MiB/s": 8.388608,
}  # fmt: skip
SIZE_BYTES = {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
PERCENT = {"%": 1.0}
FREQUENCY_HZ = {
    "/s": 1.0,
    "per second": 1.0,
    "/min": 1 / 60,
    "per minute": 1 / 60,
    "/h": 1 / 3600,
    "per hour": 1 / 3600,
}

_NUMBER = r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"


def parse(text: object, units: dict[str, float], what: str, example: str) -> float:
    """The number in the base unit of `units`. Zero needs no unit. Raises ValueError with what is allowed."""
    if isinstance(text, (int, float)) and not isinstance(text, bool) and text == 0:
        return 0.0
    match = re.fullmatch(_NUMBER + r"\s*(\S.*)?", str(text).strip())
    if not match or not isfinite(float(match[1])):
        raise ValueError(f"{text!r} is not a {what}; write a number and a unit, as in {example!r}")
    number, unit = float(match[1]), (match[2] or "").strip()
    if unit not in units:
        found = f"has the unknown unit {unit!r}" if unit else "has no unit"
        raise ValueError(f"{text!r} {found}; a {what} is in {', '.join(units)}, as in {example!r}")
    if number < 0:
        raise ValueError(f"{text!r} is negative; a {what} is at least 0")
    return number * units[unit]


def duration_ms(text: object) -> float:
    return parse(text, DURATION_MS, "duration", "50 ms")


def duration_s(text: object) -> float:
    return round(duration_ms(text) / 1e3, 9)


def rate_mbit(text: object) -> float:
    return parse(text, RATE_MBIT, "rate", "18 Mbit/s")


def size_bytes(text: object) -> int:
    return round(parse(text, SIZE_BYTES, "size", "64 KiB"))


def percent(text: object) -> float:
    value = parse(text, PERCENT, "percentage", "1 %")
    if value > 100:
        raise ValueError(f"{text!r} is more than 100 %")
    return value


def frequency_hz(text: object) -> float:
    return parse(text, FREQUENCY_HZ, "frequency", "2 /s")


DISTRIBUTIONS = {
    # name: (number of parameters, what they are)
    "constant": (1, "value"),
    "uniform": (2, "lowest, highest"),
    "normal": (2, "mean, standard deviation"),
    "lognormal": (2, "median, sigma of the logarithm (a plain number)"),
    "exponential": (1, "mean"),
    "pareto": (2, "minimum, shape (a plain number)"),
    "weibull": (2, "scale, shape (a plain number)"),
}
PLAIN_SECOND = ("lognormal", "pareto", "weibull")  # their second parameter has no unit; it may be named first


@dataclass(frozen=True)
class Draw:
    """A value, or a distribution that a value is drawn from at plan time; never below 0."""

    distribution: str
    parameters: tuple[float, ...]

    def draw(self, rng: Random) -> float:
        """One value, rounded to a thousandth so that plans read well."""
        first, second = (*self.parameters, 0.0)[:2]
        value = first
        if self.distribution == "uniform":
            value = rng.uniform(first, second)
        elif self.distribution == "normal":
            value = rng.gauss(first, second)
        elif self.distribution == "lognormal":
            value = first * rng.lognormvariate(0.0, second)
        elif self.distribution == "exponential" and first > 0:
            value = rng.expovariate(1 / first)
        elif self.distribution == "pareto":
            value = first * rng.paretovariate(second)
        elif self.distribution == "weibull":
            value = rng.weibullvariate(first, second)
        return max(0.0, round(value, 3))


def draw_of(text: object, number: Callable[[object], float]) -> Draw:
    """A `Draw` from "20 ms" or "normal(20 ms, 5 ms)"; `number` parses one quantity. Raises ValueError."""
    if isinstance(text, Draw):
        return text
    match = re.fullmatch(r"\s*([a-z]+)\s*\((.*)\)\s*", str(text))
    if not match:
        return Draw("constant", (number(text),))
    name, parts = match[1], [part.strip() for part in match[2].split(",")]
    if name not in DISTRIBUTIONS:
        raise ValueError(f"unknown distribution {name!r}; allowed: {', '.join(DISTRIBUTIONS)}")
    count, meaning = DISTRIBUTIONS[name]
    if len(parts) != count:
        raise ValueError(f"{text!r}: {name} takes {count} parameter{'s' * (count > 1)} ({meaning})")
    if name in PLAIN_SECOND:
        if re.fullmatch(_NUMBER, parts[0]):  # (shape, scale), as many papers write it
            parts.reverse()
        try:
            values = (number(parts[0]), float(parts[1]))
        except ValueError as error:
            raise ValueError(f"{text!r}: {name} takes {meaning}: {error}") from error
        if values[1] <= 0:
            raise ValueError(f"{text!r}: the second parameter of {name} must be above 0")
        return Draw(name, values)
    return Draw(name, tuple(number(part) for part in parts))


def _schema(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "examples": [example]})


def _draw_ms(text: object) -> Draw:
    return draw_of(text, duration_ms)


def _draw_s(text: object) -> Draw:
    return draw_of(text, duration_s)


def _draw_mbit(text: object) -> Draw:
    return draw_of(text, rate_mbit)


def _draw_pct(text: object) -> Draw:
    return draw_of(text, percent)


Seconds = Annotated[float, BeforeValidator(duration_s), _schema("30 s")]
Milliseconds = Annotated[float, BeforeValidator(duration_ms), _schema("50 ms")]
Megabits = Annotated[float, BeforeValidator(rate_mbit), _schema("18 Mbit/s")]
Bytes = Annotated[int, BeforeValidator(size_bytes), _schema("64 KiB")]
Percent = Annotated[float, BeforeValidator(percent), _schema("1 %")]
Hertz = Annotated[float, BeforeValidator(frequency_hz), _schema("2 /s")]
DelayDraw = Annotated[Draw, BeforeValidator(_draw_ms), _schema("normal(20 ms, 5 ms)")]
SecondsDraw = Annotated[Draw, BeforeValidator(_draw_s), _schema("exponential(60 s)")]
RateDraw = Annotated[Draw, BeforeValidator(_draw_mbit), _schema("uniform(5 Mbit/s, 20 Mbit/s)")]
LossDraw = Annotated[Draw, BeforeValidator(_draw_pct), _schema("0.5 %")]
