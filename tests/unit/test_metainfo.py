""".torrent files: made, read, and refused."""

from hashlib import sha1

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers import content
from peers.bittorrent.metainfo import File, decode_torrent, encode_torrent, from_info, make, of_item
from peers.wire import Malformed
from peers.wire.bencode import encode

HASHES = bytes(20)


def info(**fields):
    """An info dictionary of one small file, with some keys changed; None takes one away."""
    whole = {"name": b"a", "piece length": 16384, "pieces": HASHES, "length": 5}
    whole |= {key.replace("_", " "): value for key, value in fields.items()}
    return encode({key.encode(): value for key, value in whole.items() if value is not None})


def test_one_file():
    torrent = of_item("item1", 40_000, 16384)
    assert torrent.pieces == 3
    assert [torrent.piece_size(piece) for piece in range(3)] == [16384, 16384, 7232]
    assert torrent.piece_hash(2) == sha1(content.read("item1", 32768, 7232)).digest()
    head = b"d6:lengthi40000e4:name5:item112:piece lengthi16384e6:pieces60:"
    assert torrent.info == head + torrent.hashes + b"e"
    assert torrent.info_hash == sha1(torrent.info).digest()
    assert torrent.spans(1, 100, 16384) == [("item1", 16484, 16384)]


def test_a_file_of_its_own():
    torrent = make("a", [File("a", 5)], 16384, HASHES, ("http://10.0.0.1:6969/announce", "udp://10.0.0.2:80"))
    data = encode_torrent(torrent)
    assert data.startswith(b"d8:announce29:http://10.0.0.1:6969/announce13:announce-listll29:http://")
    assert decode_torrent(data) == torrent
    assert decode_torrent(encode_torrent(torrent)).trackers == torrent.trackers


def test_many_files():
    torrent = make("d", [File("d/a", 10), File("d/e/b", 0), File("d/e/c", 20)], 16, HASHES * 2)
    assert torrent.size == 30
    assert torrent.spans(0, 8, 8) == [("d/a", 8, 2), ("d/e/c", 0, 6)]
    assert torrent.spans(1, 0, 14) == [("d/e/c", 6, 14)]
    assert decode_torrent(encode_torrent(torrent)).files == torrent.files


def test_keys_that_we_do_not_know_count_for_the_info_hash():
    data = info(private=1)
    assert from_info(data).info_hash == sha1(data).digest() != from_info(info()).info_hash


@pytest.mark.parametrize("name", [b"..", b".", b"", b"a/b", b"/etc", b"a\\b", b"a\0", b"\xff", b"x" * 256, b"a\nb", 5])
def test_names_that_lead_elsewhere(name):
    with pytest.raises(Malformed):
        from_info(info(name=name))
    with pytest.raises(Malformed):
        from_info(info(length=None, files=[{b"length": 5, b"path": [b"ok", name]}]))


@pytest.mark.parametrize(
    "fields",
    [
        {"length": -5},
        {"length": 0},  # and yet a hash
        {"length": 1 << 60},
        {"length": 20_000},  # two pieces, one hash
        {"pieces": HASHES * 2},
        {"pieces": b"x"},
        {"pieces": 7},
        {"piece_length": 0},
        {"piece_length": -16384},
        {"piece_length": 1 << 40},
        {"files": [{b"length": 5, b"path": [b"b"]}]},  # and a length
        {"length": None, "files": []},
        {"length": None, "files": [{b"length": -5, b"path": [b"b"]}, {b"length": 10, b"path": [b"c"]}]},
        {"length": None, "files": [{b"length": 5, b"path": []}]},
        {"length": None, "files": [{b"length": 5}]},
        {"length": None, "files": [{b"length": 2, b"path": [b"b"]}, {b"length": 3, b"path": [b"b"]}]},
        {"length": None, "files": [{b"length": 2, b"path": [b"b"]}, {b"length": 3, b"path": [b"b", b"c"]}]},
        {"length": None, "files": [{b"length": 5, b"path": [b"b"] * 8}]},
    ],
)
def test_numbers_that_do_not_fit(fields):
    with pytest.raises(Malformed):
        from_info(info(**fields))


def test_info_whose_keys_are_not_sorted():
    with pytest.raises(Malformed):
        decode_torrent(b"d4:infod4:name1:a6:lengthi5e12:piece lengthi16384e6:pieces20:" + HASHES + b"ee")


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda tail: b"d4:infod6:lengthi5e" + tail)))
def test_any_bytes(data):
    with pytest.raises(Malformed):
        decode_torrent(data)
