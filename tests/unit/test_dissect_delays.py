"""The same packet at both its ends: delay, loss, duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.dissect.delays import match
from harness.dissect.tables import read
from tests.unit.wire_frames import T0_NS, CaptureFile, ipv4, plan, tcp, udp

HOSTS = {"h1": "10.0.0.1", "h2": "10.0.0.2", "h3": "10.0.0.3"}


@pytest.fixture
def file(tmp_path: Path) -> CaptureFile:
    return CaptureFile(tmp_path / "capture.pcapng", ["h1", "h2", "r:h1-r"])


def flights(file: CaptureFile) -> pd.DataFrame:
    file.frame(100, "h1", "sent", b"")  # long after all others: whatever has not arrived is lost
    return read(file.write(), plan(HOSTS), T0_NS).flights


def there(payload: bytes, ip_id: int = 0) -> bytes:
    return udp("10.0.0.1", 1000, "10.0.0.2", 2000, payload, ip_id)


def test_delay_of_each_packet(file: CaptureFile) -> None:
    for number, delay_s in enumerate((0.010, 0.012, 0.015)):
        file.frame(number, "h1", "sent", there(bytes([number])))
        file.frame(number + delay_s, "h2", "received", there(bytes([number])))
    file.frame(5, "h2", "sent", udp("10.0.0.2", 2000, "10.0.0.1", 1000, b"back"))
    file.frame(5.25, "h1", "received", udp("10.0.0.2", 2000, "10.0.0.1", 1000, b"back"))
    table = flights(file)
    assert table["source"].tolist() == ["h1", "h1", "h1", "h2"]
    assert table["target"].tolist() == ["h2", "h2", "h2", "h1"]
    assert table["delay_ms"].tolist() == pytest.approx([10, 12, 15, 250], abs=1e-6)
    assert not table["lost"].any()
    assert table["frame"].tolist() == [0, 2, 4, 6]


def test_loss(file: CaptureFile) -> None:
    for number in range(4):
        file.frame(number, "h1", "sent", there(bytes([number])))
        if number % 2:
            file.frame(number + 0.02, "h2", "received", there(bytes([number])))
    table = flights(file)
    assert table["lost"].tolist() == [True, False, True, False]
    assert table["copies"].tolist() == [0, 1, 0, 1]
    assert np.isnan(table["delay_ms"][0])


def test_a_request_sent_again_after_its_loss(file: CaptureFile) -> None:
    """Equal in every byte: the arrival belongs to the second, whose delay is like that of others."""
    for number in range(5):
        file.frame(10 + number, "h1", "sent", there(bytes([number])))
        file.frame(10.05 + number, "h2", "received", there(bytes([number])))
    file.frame(1, "h1", "sent", there(b"same"))
    file.frame(2, "h1", "sent", there(b"same"))
    file.frame(2.05, "h2", "received", there(b"same"))
    table = flights(file)
    assert table["lost"].tolist() == [True] + [False] * 6
    assert table["delay_ms"].max() == pytest.approx(50, abs=1e-6)


def test_two_equal_packets_on_their_way_at_once(file: CaptureFile) -> None:
    for t_s in (1.0, 1.01):
        file.frame(t_s, "h1", "sent", there(b"same"))
        file.frame(t_s + 0.05, "h2", "received", there(b"same"))
    assert flights(file)["delay_ms"].tolist() == pytest.approx([50, 50], abs=1e-6)


def test_duplicates_made_by_the_network(file: CaptureFile) -> None:
    file.frame(1, "h1", "sent", there(b"x"))
    file.frame(1.05, "h2", "received", there(b"x"))
    file.frame(1.06, "h2", "received", there(b"x"))
    table = flights(file)
    assert table["copies"].tolist() == [2]
    assert table["delay_ms"].tolist() == pytest.approx([50], abs=1e-6)


def test_tcp_goes_by_sequence_number_and_identification(file: CaptureFile) -> None:
    ends = ("10.0.0.1", 1000, "10.0.0.2", 2000)
    for t_s, ip_id in ((1.0, 5), (1.3, 6)):  # lost, and sent again with the next identification
        file.frame(t_s, "h1", "sent", tcp(*ends, 77, b"data", ip_id=ip_id))
    file.frame(1.32, "h2", "received", tcp(*ends, 77, b"data", ip_id=6))
    table = flights(file)
    assert table["lost"].tolist() == [True, False]
    assert table["delay_ms"][1] == pytest.approx(20, abs=1e-6)


def test_icmp_goes_by_content(file: CaptureFile) -> None:
    for number in range(2):
        ping = ipv4("10.0.0.1", "10.0.0.2", 1, b"\x08\0\0\0\0\1" + bytes([0, number]))
        file.frame(1 + number, "h1", "sent", ping)
        file.frame(1.1 + 2 * number, "h2", "received", ping)
    assert flights(file)["delay_ms"].tolist() == pytest.approx([100, 1100], abs=1e-6)


def test_only_packets_between_two_tapped_hosts(file: CaptureFile) -> None:
    file.frame(1, "h1", "sent", udp("10.0.0.1", 1, "10.0.0.3", 1, b"no tap there"))
    file.frame(2, "h1", "sent", udp("10.0.0.1", 1, "192.0.2.1", 1, b"no host"))
    file.frame(3, "r:h1-r", "sent", there(b"seen at a router"))
    file.frame(4, "h2", "sent", there(b"a forged source"))
    assert flights(file).empty


def test_what_was_sent_just_before_the_end_is_unknown(tmp_path: Path) -> None:
    file = CaptureFile(tmp_path / "a", ["h1", "h2"])
    file.frame(1.0, "h1", "sent", there(b"lost for sure"))
    file.frame(9.3, "h1", "sent", there(b"still on its way"))
    file.frame(9.6, "h1", "sent", there(b"arrived"))
    file.frame(10, "h2", "received", there(b"arrived"))
    table = read(file.write(), plan(HOSTS), T0_NS).flights
    assert table["sent_s"].tolist() == pytest.approx([1.0, 9.6])


def test_payloads_cut_by_the_snap_length_are_told_apart_as_far_as_captured(tmp_path: Path) -> None:
    file = CaptureFile(tmp_path / "a", ["h1", "h2"], snap_bytes=60)
    for number in range(3):
        frame = there(bytes([number]) + bytes(500))
        file.frame(number, "h1", "sent", frame)
        file.frame(number + 0.5, "h2", "received", frame)
    file.frame(100, "h1", "sent", b"")
    table = read(file.write(), plan(HOSTS), T0_NS).flights
    assert table["delay_ms"].tolist() == pytest.approx([500] * 3, abs=1e-6)
    assert table["bytes"].tolist() == [14 + 20 + 8 + 501] * 3


def test_matching_against_a_simple_simulation() -> None:
    """10,000 packets, a fifth lost, a tenth of the keys used twice two seconds apart: every delay is found."""
    rng = np.random.default_rng(7)
    count = 10_000
    sent_s = np.sort(rng.uniform(0, 1000, count))
    keys = np.arange(count, dtype=np.uint64)
    again = rng.choice(count - 100, 1000, replace=False)
    later = np.searchsorted(sent_s, sent_s[again] + 2)
    ok = later < count
    keys[later[ok]] = keys[again[ok]]
    delay_s = rng.normal(0.05, 0.005, count)
    arrived = rng.random(count) > 0.2
    received_s, received = (sent_s + delay_s)[arrived], keys[arrived]
    order = np.argsort(received_s)
    found_s, copies = match(keys, sent_s, received[order], received_s[order])
    assert ((copies == 1) == arrived).all()
    assert found_s[arrived] == pytest.approx(delay_s[arrived])
