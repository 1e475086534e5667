"""Fixtures: is there a sandbox here at all, and which shaping backends can be tried."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from harness.emulation.doctor import Finding, examine
from tests.emulation import sandboxed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Delays and rates are measured against the clock of a machine that others use too, which may stand still for tens
    of milliseconds: what is wrong three times in a row is wrong. Each repetition is told in the summary (R)."""
    for item in items:
        if item.get_closest_marker("emulation"):
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun="AssertionError"))


@cache
def _findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in examine()}


@pytest.fixture
def run_inside() -> Callable[..., Any]:
    """Runs a function of the test's module in a sandbox and returns its result."""
    finding = _findings()["namespaces"]
    if not finding.ok:
        pytest.skip(f"no namespaces of our own here: {finding.detail}")
    return sandboxed.run


@pytest.fixture(params=["netem", "nfqueue"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each shaping backend that this kernel has."""
    name: str = request.param
    finding = _findings().get(name)
    if finding is None or not finding.ok:
        pytest.skip(f"no {name} here: {finding.detail if finding else 'no namespaces'}")
    return name
