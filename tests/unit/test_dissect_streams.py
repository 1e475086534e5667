"""Messages in TCP streams: segments late, twice, overlapping, cut by the snap length, or missing."""

from __future__ import annotations

import struct
from collections import deque
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dissect.messages import GnutellaReader, HttpReader, Messages
from harness.dissect.streams import MAX_WAITING, Stream

KINDS = {"ping": 0x00, "pong": 0x01, "bye": 0x02, "push": 0x40, "query": 0x80, "queryhit": 0x81}


def descriptor(kind: str, length: int, guid: bytes = bytes(16)) -> bytes:
    return guid + bytes([KINDS[kind], 7, 0]) + struct.pack("<I", length) + b"\xee" * length


class Tap:
    """A stream whose segments are given by hand; frames are numbered as they come."""

    def __init__(self, first: int = 1000) -> None:
        self.messages = Messages()
        self.stream = Stream(GnutellaReader(self.messages))
        self.stream.opened(first)
        self.first = first + 1
        self.frame = 0

    def put(self, at: int, data: bytes, missing: int = 0) -> bool:
        self.frame += 1
        seq = (self.first + at) & 0xFFFFFFFF
        return self.stream.segment(seq, data, len(data) + missing, self.frame)

    @property
    def seen(self) -> list[tuple[int, str, int]]:
        """Frame, kind, bytes."""
        return list(zip(self.messages.frame, self.messages.kind, self.messages.bytes, strict=True))


def test_several_descriptors_in_a_segment_and_one_over_three() -> None:
    tap = Tap()
    data = b"GNUTELLA CONNECT/0.4\n\n" + descriptor("ping", 0) + descriptor("query", 10) + descriptor("queryhit", 100)
    cuts = [0, 22 + 23 + 33 + 5, 22 + 23 + 33 + 60, len(data)]
    for a, b in pairwise(cuts):
        assert tap.put(a, data[a:b]) is False
    assert tap.seen == [(1, "handshake", 22), (1, "ping", 23), (1, "query", 33), (1, "queryhit", 123)]


def test_a_header_split_between_segments_begins_in_the_first() -> None:
    tap = Tap()
    data = descriptor("pong", 14) + descriptor("push", 26)
    tap.put(0, data[: 37 + 3])
    tap.put(40, data[40:50])
    tap.put(50, data[50:])
    assert tap.seen == [(1, "pong", 37), (1, "push", 49)]


def test_late_and_repeated_segments() -> None:
    tap = Tap()
    one, two, three = (descriptor("query", n) for n in (1, 2, 3))
    assert not tap.put(0, one)
    assert not tap.put(len(one + two), three)  # comes before the second
    assert tap.seen == [(1, "query", 24)]
    assert tap.put(0, one)  # sent again
    assert not tap.put(len(one), two)
    assert tap.put(len(one), two)
    assert tap.seen == [(1, "query", 24), (4, "query", 25), (2, "query", 26)]


def test_a_repetition_with_new_bytes_behind_the_old() -> None:
    tap = Tap()
    data = descriptor("ping", 0) + descriptor("query", 5)
    tap.put(0, data[:23])
    assert not tap.put(10, data[10:])
    assert tap.seen == [(1, "ping", 23), (2, "query", 28)]


def test_a_keep_alive_is_a_repetition() -> None:
    tap = Tap()
    tap.put(0, descriptor("ping", 0))
    assert tap.put(22, b"\0")


def test_sequence_numbers_wrap() -> None:
    tap = Tap(first=0xFFFFFFF0)
    data = descriptor("ping", 0) + descriptor("query", 30) + descriptor("bye", 4)
    for at in range(0, len(data), 7):
        tap.put(at, data[at : at + 7])
    assert [kind for _, kind, _ in tap.seen] == ["ping", "query", "bye"]


def test_a_payload_beyond_the_snap_length_is_passed_over() -> None:
    """Headers are there, the rest of each segment is not: the lengths tell where the next one begins."""
    tap = Tap()
    big = descriptor("queryhit", 3000)
    tap.put(0, big[:200], missing=1260)
    tap.put(1460, big[1460:1660], missing=1260)
    tail = big[2920:]
    tap.put(2920, (tail + descriptor("ping", 0))[:200])
    assert tap.seen == [(1, "queryhit", 3023), (3, "ping", 23)]
    assert tap.messages.hidden == 0


def test_messages_hidden_by_the_snap_length_are_lost_until_the_next_segment() -> None:
    tap = Tap()
    many = descriptor("query", 30) * 10
    tap.put(0, many[:130], missing=400)  # two whole ones, and the header of a third
    tap.put(530, descriptor("pong", 14) + descriptor("ping", 0))
    assert tap.seen == [(1, "query", 53), (1, "query", 53), (1, "query", 53), (2, "pong", 37), (2, "ping", 23)]
    assert tap.messages.hidden == 1


def test_a_segment_that_never_comes_is_given_up() -> None:
    tap = Tap()
    one = descriptor("query", 9)
    tap.put(0, one)
    for number in range(2, MAX_WAITING + 3):
        tap.put(number * len(one), one)
    assert len(tap.seen) == MAX_WAITING + 2
    tap.stream.end()
    assert len(tap.seen) == MAX_WAITING + 2


def test_what_waits_at_the_end_is_still_read() -> None:
    tap = Tap()
    tap.put(100, descriptor("ping", 0))
    assert tap.seen == []
    tap.stream.end()
    assert tap.seen == [(1, "ping", 23)]


def test_capture_begins_in_the_middle_of_a_stream() -> None:
    messages = Messages()
    stream = Stream(GnutellaReader(messages))
    stream.segment(5, b"\xee" * 60, 60, 0)  # the tail of something
    stream.segment(65, descriptor("query", 8), 31, 1)
    assert (messages.frame, messages.kind) == ([1], ["query"])


def test_what_is_no_gnutella_is_malformed_and_then_waited_out() -> None:
    tap = Tap()
    tap.put(0, b"\xee" * 100)
    tap.put(100, b"\xee" * 100)
    tap.put(200, descriptor("ping", 0))
    assert tap.seen == [(1, "malformed", 100), (3, "ping", 23)]


def test_handshake_of_version_06_over_two_segments() -> None:
    tap = Tap()
    hello = b"GNUTELLA CONNECT/0.6\r\nUser-Agent: x\r\n\r\n"
    tap.put(0, hello[:5])
    tap.put(5, hello[5:] + descriptor("ping", 0))
    assert tap.seen == [(1, "handshake", len(hello)), (2, "ping", 23)]


def test_transfers_of_gnutella() -> None:
    tap = Tap()
    giv, get = b"GIV 1:" + b"0" * 32 + b"/x\n\n", b"GET /get/1/x/ HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\n"
    full = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    data = giv + get + answer + bytes(100) + full
    tap.put(0, data[:30])
    tap.put(30, data[30:200])
    tap.put(200, data[200:])
    seen = [(kind, size) for _, kind, size in tap.seen]
    assert seen == [("giv", len(giv)), ("get", len(get)), ("file", len(answer) + 100), ("refusal", len(full))]


messages_drawn = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 90)), min_size=1, max_size=12)


@settings(max_examples=150)
@given(messages_drawn, st.lists(st.integers(1, 400), max_size=20), st.randoms(use_true_random=False), st.booleans())
def test_any_segmentation_order_and_repetition_gives_the_same_messages(
    drawn: list[tuple[str, int]], sizes: list[int], rng: Random, hello: bool
) -> None:
    guids = [bytes([number]) * 16 for number in range(1, len(drawn) + 1)]
    parts = [descriptor(kind, size, guid) for (kind, size), guid in zip(drawn, guids, strict=True)]
    data = (b"GNUTELLA OK\n\n" if hello else b"") + b"".join(parts)
    ends = sorted({min(sum(sizes[:n]), len(data)) for n in range(1, len(sizes) + 1)} | {0, len(data)})
    segments = [(a, data[max(0, a - rng.randint(0, 9)) : b], b) for a, b in pairwise(ends)]
    order = sorted(segments + rng.sample(segments, len(segments) // 3), key=lambda _: rng.random())
    tap = Tap(rng.getrandbits(32))
    for _, piece, end in order:
        tap.put(end - len(piece), piece)
    found = list(zip(tap.messages.kind, tap.messages.txid, tap.messages.bytes, strict=True))
    expected = [(kind, guid.hex(), 23 + size) for (kind, size), guid in zip(drawn, guids, strict=True)]
    assert found == [("handshake", "", 13)] * hello + expected


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=80), st.integers(0, 300)), max_size=30), st.booleans()
)
def test_any_segments_are_survived(segments: list[tuple[int, bytes, int]], http: bool) -> None:
    messages = Messages()
    stream = Stream(HttpReader(messages, deque(), is_server=True) if http else GnutellaReader(messages))
    for frame, (seq, data, missing) in enumerate(segments):
        stream.segment(seq, data, len(data) + missing, frame)
    stream.end()
    assert len(messages.frame) == len(messages.kind) == len(messages.txid) == len(messages.bytes)


# ---- HTTP ----

ANNOUNCE = b"GET /announce?info_hash=%12%34&port=6881 HTTP/1.1\r\nHost: t\r\n\r\n"
SCRAPE = b"GET /x/scrape?info_hash=%12 HTTP/1.1\r\n\r\n"


def answer(body: bytes, length: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: %d\r\n" % len(body) if length else b"")
    return head + b"\r\n" + body


class Exchange:
    """Both directions of a connection."""

    def __init__(self) -> None:
        self.messages = Messages()
        asked: deque[str] = deque()
        self.client = Stream(HttpReader(self.messages, asked, is_server=False))
        self.server = Stream(HttpReader(self.messages, asked, is_server=True))
        self.client.opened(0)
        self.server.opened(0)
        self.seq = {self.client: 1, self.server: 1}
        self.frame = 0

    def put(self, stream: Stream, data: bytes, missing: int = 0) -> None:
        self.frame += 1
        stream.segment(self.seq[stream], data, len(data) + missing, self.frame)
        self.seq[stream] += len(data) + missing

    @property
    def seen(self) -> list[tuple[int, str, int]]:
        return list(zip(self.messages.frame, self.messages.kind, self.messages.bytes, strict=True))


def test_requests_and_their_answers() -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE)
    it.put(it.server, answer(b"d8:intervali60ee"))
    it.put(it.client, SCRAPE)
    it.put(it.server, answer(b"de"))
    assert [(frame, kind) for frame, kind, _ in it.seen] == [
        (1, "announce"), (2, "announce_response"), (3, "scrape"), (4, "scrape_response"),
    ]  # fmt: skip
    assert [size for *_, size in it.seen][:2] == [len(ANNOUNCE), len(answer(b"d8:intervali60ee"))]


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("cut", [10, 30, 38, 60])
def test_a_refusal_is_an_error(cut: int, length: bool) -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE)
    data = answer(b"d14:failure reason12:unregisterede", length)
    it.put(it.server, data[:cut])
    it.put(it.server, data[cut:])
    assert it.seen[1][1:] == ("error", len(data))


def test_another_status_is_an_error() -> None:
    it = Exchange()
    it.put(it.client, b"GET /favicon.ico HTTP/1.1\r\n\r\n")
    it.put(it.server, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert [kind for _, kind, _ in it.seen] == ["unknown", "error"]


def test_a_body_that_looks_like_a_head_is_a_body() -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE)
    body = b"HTTP/1.1 404 No\r\n\r\n" * 3
    data = answer(body)
    it.put(it.server, data[:50])
    it.put(it.server, data[50:])
    assert it.seen == [(1, "announce", len(ANNOUNCE)), (2, "announce_response", len(data))]


@pytest.mark.parametrize("cut", range(1, len(ANNOUNCE)))
def test_a_request_over_two_segments(cut: int) -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE[:cut])
    it.put(it.client, ANNOUNCE[cut:] + SCRAPE)
    assert it.seen == [(1, "announce", len(ANNOUNCE)), (2, "scrape", len(SCRAPE))]


def test_a_body_without_a_length_lasts_to_the_end() -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE)
    data = answer(b"d5:peers600:" + b"x" * 600 + b"e", length=False)
    it.put(it.server, data[:300])
    it.put(it.server, data[300:])
    it.server.end()
    assert it.seen[1:] == [(2, "announce_response", len(data))]


def test_a_head_beyond_the_snap_length() -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE[:30], missing=len(ANNOUNCE) - 30)
    data = answer(b"d" * 100)
    it.put(it.server, data[:20], missing=len(data) - 20)
    it.put(it.client, SCRAPE)
    assert it.seen == [
        (1, "announce", len(ANNOUNCE)), (2, "announce_response", len(data)), (3, "scrape", len(SCRAPE)),
    ]  # fmt: skip


def test_a_body_beyond_the_snap_length() -> None:
    it = Exchange()
    it.put(it.client, ANNOUNCE)
    data = answer(b"d" * 1000)
    it.put(it.server, data[:100], missing=len(data) - 100)
    it.put(it.client, SCRAPE)
    it.put(it.server, answer(b"de"))
    assert [kind for _, kind, _ in it.seen] == ["announce", "announce_response", "scrape", "scrape_response"]


def test_what_is_no_http() -> None:
    it = Exchange()
    it.put(it.client, b"\x13BitTorrent protocol\r\n\r\n")
    it.put(it.server, b"SSH-2.0\r\n\r\n")
    assert [kind for _, kind, _ in it.seen] == ["malformed", "malformed"]
