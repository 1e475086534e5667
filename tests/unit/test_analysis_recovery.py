"""Recovery after faults, on lookups and faults made by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from harness.analysis.recovery import items_lost, recovery_s
from harness.analysis.view import View


class Data(SimpleNamespace):
    def view(self, overlay: str | None, from_s: float, to_s: float) -> View:
        return View(self, overlay, from_s, to_s)  # type: ignore[arg-type]


def data(good: dict[int, bool], faults: list[tuple[float, float]]) -> Data:
    """Lookups at whole seconds, of items by turns; two items are published at 0 s."""
    rows = [("publish", item, 0.0, True) for item in ("item00", "item01")]
    rows += [("lookup", f"item{t % 3:02}", float(t), ok) for t, ok in good.items()]
    operations = pd.DataFrame(rows, columns=["verb", "item", "planned_s", "ok"]).assign(overlay="dht")
    return Data(end_s=60.0, operations=operations, faults=pd.DataFrame(faults, columns=["from_s", "to_s"], dtype=float))


def test_recovery_is_when_ten_in_a_row_are_as_good_as_before() -> None:
    # before 10 s all are right; from 20 s on wrong until 26 s, and one more at 30 s
    good = {t: t < 10 or (t >= 27 and t != 30) for t in range(60)}
    found = data(good, [(10, 20)])
    # 27..36 holds one wrong of ten, 0.9 < 0.95; 31..40 holds none
    assert recovery_s(found.view("dht", 0, 60)) == 31 - 20
    assert math.isnan(recovery_s(found.view("dht", 25, 60)))  # no fault ends there
    assert math.isnan(recovery_s(found.view("dht", 0, 28)))  # eight lookups are too few


def test_a_level_below_one_is_reached_with_as_many() -> None:
    good = {t: t % 2 == 0 for t in range(10)} | {t: t >= 24 and t % 2 == 0 for t in range(20, 60)}
    # half are right before; five of the ten from 23 s on (24, 26, 28, 30, 32)
    assert recovery_s(data(good, [(10, 20)]).view("dht", 0, 60)) == 23 - 20


def test_what_does_not_recover_never_does() -> None:
    good = {t: t < 10 for t in range(60)}
    assert recovery_s(data(good, [(10, 20)]).view("dht", 0, 60)) == math.inf
    assert math.isnan(recovery_s(data(good, []).view("dht", 0, 60)))
    assert math.isnan(recovery_s(data(good, [(10, math.nan)]).view("dht", 0, 60)))  # it does not end


@pytest.mark.parametrize(
    ("found", "lost"), [({30, 31}, 0), ({30}, 1), (set(), 2), ({32}, 2)]
)  # 30 and 33 ask for item00, 31 and 34 for item01; item02 was never published
def test_items_lost(found: set[int], lost: int) -> None:
    good = {t: t < 10 or t in found for t in range(36)}
    assert items_lost(data(good, [(10, 20)]).view("dht", 30, 60)) == lost
    assert math.isnan(items_lost(data(good, []).view("dht", 50, 60)))
