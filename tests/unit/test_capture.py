"""Which taps a plan wants, and what is refused before anything is captured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.capture import Tap, start, taps_of
from harness.errors import EmulationError, SpecError
from harness.plan.model import CapturePlan, Interface
from harness.records import RunDir
from tests.unit.wire_frames import plan

PLAN = replace(plan({"h1": "10.0.0.1", "h2": "10.0.0.2"}), capture=CapturePlan(("h1", "h2"), 0, ""))
PORTS: dict[tuple[str, str], tuple[int | None, str]] = {("h1", "eth0"): (5, "w0a"), ("h2", "eth0"): (5, "w1a")}


def test_a_place_is_called_as_its_node() -> None:
    assert taps_of(PLAN, PORTS) == [Tap("h1", "w0a", 5), Tap("h2", "w1a", 5)]


def test_of_a_node_with_several_links_each_is_a_place() -> None:
    node = PLAN.node["h2"]
    second = Interface("eth1", "", "other", "b")
    both = replace(PLAN, nodes=(PLAN.node["h1"], replace(node, interfaces=(*node.interfaces, second))))
    taps = taps_of(both, {**PORTS, ("h2", "eth1"): (5, "w7b")})
    assert [tap.place for tap in taps] == ["h1", "h2:l-h2", "h2:other"]
    assert taps[2].interface == "w7b"


def test_without_a_capture_in_the_plan_there_are_no_taps() -> None:
    assert taps_of(replace(PLAN, capture=None), PORTS) == []


def test_a_link_without_a_wire_is_told() -> None:
    with pytest.raises(EmulationError, match="cannot capture at h2: its link l-h2 has no wire"):
        taps_of(PLAN, {("h1", "eth0"): (5, "w0a")})


def test_nothing_to_capture_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    run_dir = RunDir(tmp_path_factory.mktemp("run"))
    with pytest.raises(EmulationError, match="nothing to capture"):
        start(PLAN, [], run_dir)
    assert not run_dir.capture.exists()


def test_filters_are_compiled_with_the_snap_length_as_what_they_take() -> None:
    packet_ring = pytest.importorskip("harness.packet_ring")
    assert packet_ring.compile_program("", 0) == [(6, 0, 0, packet_ring.WHOLE_FRAME)]
    assert packet_ring.compile_program("", 96) == [(6, 0, 0, 96)]
    returns = {k for code, _, _, k in packet_ring.compile_program("udp port 5000", 128) if code == 6}
    assert returns == {0, 128}


def test_a_wrong_filter_is_told() -> None:
    packet_ring = pytest.importorskip("harness.packet_ring")
    with pytest.raises(SpecError, match=r"capture filter 'udp prot 5'.*pcap-filter"):
        packet_ring.compile_program("udp prot 5", 0)
