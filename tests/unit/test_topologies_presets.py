"""Presets: complete, plausible, and consistent with each other and with the data beside them."""

from __future__ import annotations

import random

import pytest

from topologies.model import PERFECT, Impairment
from topologies.presets import PRESETS
from topologies.registry import GENERATORS

WANTED = {
    "lan", "wifi", "dsl", "cable", "fibre", "mobile-3g", "mobile-4g", "mobile-5g", "satellite-geo", "satellite-leo",
    "datacenter", "transatlantic", "transpacific", "perfect",
}  # fmt: skip


def test_all_are_there() -> None:
    assert set(PRESETS) == WANTED
    assert PRESETS["perfect"] == (PERFECT, PERFECT)


@pytest.mark.parametrize("name", sorted(WANTED - {"perfect"}))
def test_each_direction_is_plausible(name: str) -> None:
    for direction in PRESETS[name]:
        assert direction.delay_ms > 0
        assert 0 < direction.jitter_ms <= direction.delay_ms / 2  # or the delay would often be cut off at 0
        assert 0 <= direction.loss_pct <= 0.5
        assert direction.loss_burst >= 1
        assert (direction.rate_mbit is None) == (direction.queue_bytes is None)
        if direction.queue_bytes is not None:
            assert direction.queue_bytes >= 10 * 1514
        assert (direction.reorder_pct, direction.duplicate_pct, direction.corrupt_pct) == (0, 0, 0)


def test_nobody_sends_faster_than_it_receives() -> None:
    for name, (up, down) in PRESETS.items():
        assert (up.rate_mbit or 0) <= (down.rate_mbit or 0), name


def test_queues_hold_what_the_comments_say() -> None:
    # 1 Mbit/s = 125 bytes/ms: 128 kB is 1,024 ms at 1 Mbit/s; 0.768 Mbit/s x 1.5 s = 144 kB
    assert PRESETS["dsl"][0].queue_bytes == 128_000
    assert PRESETS["mobile-3g"][0].queue_bytes == 144_000


def test_oceans_agree_with_the_matrix() -> None:
    def plain(link_class: str, distance_km: float | None) -> tuple[Impairment, Impairment]:
        return PERFECT, PERFECT

    matrix = GENERATORS["latency_matrix"](plain, random.Random(1), path="aws-regions.csv", rtt=True)
    measured = {link.name: link.ab.delay_ms for link in matrix.links}
    assert PRESETS["transatlantic"][0].delay_ms == pytest.approx(measured["us-east-1-eu-west-1"], rel=0.02)
    assert PRESETS["transpacific"][0].delay_ms == pytest.approx(measured["us-west-1-ap-northeast-1"], rel=0.02)
