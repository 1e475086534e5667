"""HTTP/1.1 in pieces of any size: framing, bounds, and refusals of what can be read in two ways (RFC 9112)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.wire import Malformed
from peers.wire.http import MAX_HEAD, Data, End, Head, Reader, encode_request, encode_response

GET = b"GET /announce?a=1 HTTP/1.1\r\nHost: 10.0.0.1:6969\r\nAccept:  */* \r\n\r\n"


def read(reader, data, chunk=0):
    """The parts, with pieces of bodies joined."""
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)] if chunk else [data]
    parts = []
    for piece in pieces:
        for part in reader.feed(piece):
            if isinstance(part, Data) and parts and isinstance(parts[-1], Data):
                parts[-1] = Data(parts[-1].data + part.data)
            else:
                parts.append(part)
    return parts


@pytest.mark.parametrize("chunk", [0, 1, 2, 7])
def test_a_request(chunk):
    head = Head({"host": "10.0.0.1:6969", "accept": "*/*"}, "GET", "/announce?a=1")
    assert read(Reader("request"), GET, chunk) == [head, End()]


@pytest.mark.parametrize("chunk", [0, 1, 3])
def test_a_response_with_a_length(chunk):
    data = encode_response(200, {"Connection": "close"}, b"hello")
    assert data == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    head, body, end = read(Reader("response"), data, chunk)
    assert (head.status, body, end) == (200, Data(b"hello"), End())


@pytest.mark.parametrize("chunk", [0, 1, 5])
def test_a_response_in_chunks(chunk):
    # RFC 9112 section 7.1: sizes are hexadecimal, extensions and trailers may follow
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=1\r\n, world!!!\r\n0\r\nX: y\r\n\r\n"
    )
    head, body, end = read(Reader("response"), data, chunk)
    assert (head.status, body, end) == (200, Data(b"hello, world!!!"), End())


def test_a_response_until_the_end_of_the_stream():
    reader = Reader("response")
    assert read(reader, b"HTTP/1.0 200 OK\r\n\r\nhel")[1:] == [Data(b"hel")]
    assert reader.feed(b"lo") == [Data(b"lo")]
    assert reader.finish() == [End()]


def test_an_end_within_a_message_is_refused():
    for data in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", b"HTTP/1.1 200"):
        reader = Reader("response")
        reader.feed(data)
        with pytest.raises(Malformed):
            reader.finish()


def test_messages_one_after_the_other():
    post = encode_request("POST", "/x", {}, b"ab")
    parts = read(Reader("request"), GET + post + b"\r\n\n" + GET)
    assert [part.method for part in parts if isinstance(part, Head)] == ["GET", "POST", "GET"]
    assert parts.count(End()) == 3


def test_bodies_that_no_response_has():
    for status in (100, 204, 304):
        head, end, *_ = Reader("response").feed(f"HTTP/1.1 {status} X\r\n\r\n".encode())
        assert (head.status, end) == (status, End())


@pytest.mark.parametrize(
    ("start", "connection", "kept"),
    [
        ("GET / HTTP/1.1", "", True),
        ("GET / HTTP/1.1", "Connection: Close", False),
        ("GET / HTTP/1.0", "", False),
        ("GET / HTTP/1.0", "Connection: keep-alive", True),
    ],
)
def test_keep_alive(start, connection, kept):
    lines = [start, *([connection] if connection else []), "", ""]
    assert Reader("request").feed("\r\n".join(lines).encode())[0].keeps_alive is kept


def test_headers_that_come_twice_are_joined():
    head = Reader("request").feed(b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n")[0]
    assert head.headers == {"a": "1, 2"}


@pytest.mark.parametrize(
    "data",
    [
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : space before the colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: line\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 300,
    ],
)
def test_refused(data):
    with pytest.raises(Malformed):
        Reader("request").feed(data)


def test_equal_lengths_are_one_length():
    parts = Reader("request").feed(b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx")
    assert parts[1:] == [Data(b"x"), End()]


def test_heads_are_bounded():
    reader = Reader("request")
    reader.feed(b"A: b\r\n" * (MAX_HEAD // 6))
    with pytest.raises(Malformed, match="head longer"):
        reader.feed(b"A: b\r\n")
    with pytest.raises(Malformed, match="head longer"):
        Reader("request").feed(b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n\r\n")
    with pytest.raises(Malformed, match="headers"):
        Reader("request").feed(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n")


def test_bodies_are_bounded():
    for data in (
        b"GET / HTTP/1.1\r\nContent-Length: 11\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 4,
    ):
        with pytest.raises(Malformed, match="body longer"):
            Reader("request", max_body=10).feed(data)
    reader = Reader("response", max_body=10)
    with pytest.raises(Malformed, match="body longer"):
        reader.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11)


def test_line_breaks_cannot_be_smuggled_into_heads():
    with pytest.raises(ValueError, match="line break"):
        encode_request("GET", "/", {"A": "b\r\nC: d"})


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([GET, b"\r\n", b"5\r\nhello\r\n", b"HTTP/1.1 200 OK\r\n"]))
    )
)
def test_any_stream(pieces):
    for kind in ("request", "response"):
        reader = Reader(kind)
        try:
            for piece in pieces:
                reader.feed(piece)
            reader.finish()
        except Malformed:
            continue


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_pieces_do_not_matter(body, chunk):
    data = encode_response(200, {"A": "b"}, body)
    assert read(Reader("response"), data, chunk) == read(Reader("response"), data)
