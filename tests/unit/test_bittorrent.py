"""Swarms of a few peers in memory: downloads, hostile seeds, limits, restarts."""

from collections import Counter
from random import Random

import pytest
from stream_net import StreamNet

from peers import content
from peers.bittorrent.metainfo import encode_torrent, of_item
from peers.bittorrent.options import BitTorrentOptions
from peers.bittorrent.peer import Peer
from peers.bittorrent.tracker import Tracker
from peers.core import Address, Opened, Received, Setting, TimerFired
from peers.store import MemoryStore
from peers.wire.peer_wire import Bitfield, Handshake, encode_handshake, encode_message

PIECE = 16 * 1024
SIZE = 20 * PIECE + 1000  # 21 pieces, 328,680 bytes
TRACKER = Address("10.0.0.100", 6969)


def address(number):
    return Address(f"10.0.0.{number}", 6881)


class Swarm(StreamNet):
    """Peers 1, 2, ... of one item "x"."""

    def __init__(self, tracker=True, chunk=1448, **options):
        super().__init__(chunk=chunk)
        self.options = {"piece_bytes": PIECE, "item_bytes": SIZE, **options}
        self.trackers = (TRACKER,) if tracker else ()
        if tracker:
            self.add(Tracker(Setting(TRACKER, rng=Random(0))))

    def peer(self, number, store=None, **options):
        known = self.trackers or ((address(1),) if number > 1 else ())
        store = store or MemoryStore()
        setting = Setting(address(number), known, Random(number), identity=Random(number), store=store)
        self.add(Peer(setting, BitTorrentOptions(**(self.options | options))))
        return self.cores[address(number)]

    def say(self, number, verb, op=None, **more):
        self.command(address(number), op or f"{verb}{number}", verb, item="x", **more)

    def end(self, op):
        (event,) = self.of("op_end", op=op)
        return event.fields | {"t_s": event.t_s}


def is_whole(peer):
    return peer.store.read("x", 0, SIZE + 1) == content.read("x", 0, SIZE)


def damage(peer, at, count):
    """Its bytes are no longer what it believes."""
    peer.store.remove("x")
    peer.store.write("x", 0, content.read("x", 0, SIZE))
    peer.store.write("x", at, bytes(count))


@pytest.mark.parametrize("options", [{}, {"tracker_transport": "http"}, {"piece_policy": "in_order"},
                                     {"piece_policy": "random", "seed_choker": "round_robin"}])  # fmt: skip
def test_a_swarm_with_a_tracker(options):
    net = Swarm(**options)
    peers = [net.peer(number) for number in range(1, 5)]
    net.say(1, "publish")
    net.run(1)
    assert net.end("publish1")["ok"]
    for number in (2, 3, 4):
        net.say(number, "download")
    net.run(60)
    for number, peer in zip((2, 3, 4), peers[1:], strict=True):
        end = net.end(f"download{number}")
        assert end["ok"]
        assert end["bytes"] == SIZE
        assert end["pieces"] == 21
        assert end["bad_pieces"] == 0
        assert set(end["providers"]) <= {str(address(n)) for n in range(1, 5)}
        assert is_whole(peer)
    assert not net.of("malformed")
    tracker = net.cores[TRACKER]
    (swarm,) = tracker._dump().values()
    assert len(swarm) == 4
    net.say(4, "lookup", op="own")
    net.say(1, "lookup")
    net.run(70)
    assert net.end("own")["providers"] == [str(address(4))]


def test_without_tracker_the_info_hash_is_enough():
    net = Swarm(tracker=False, discovery="dht")
    peers = [net.peer(number) for number in range(1, 7)]
    net.run(5)
    assert len(net.of("ready")) == 6
    net.say(3, "publish")
    net.run(10)
    assert net.end("publish3")["stored"] > 0
    net.say(6, "lookup")
    net.say(5, "download")
    net.run(60)
    assert net.end("lookup6")["providers"] == [str(address(3))]
    assert net.end("download5")["ok"]
    assert is_whole(peers[4])
    kinds = Counter(event.fields["kind"] for event in net.of("sent"))
    assert kinds["get_peers"] > 0
    assert kinds["extended"] >= 4  # two handshakes, a question for metadata, an answer
    assert not net.of("malformed")


def test_both_ways_of_finding_peers():
    net = Swarm(discovery="both")
    peers = [net.peer(number) for number in range(1, 4)]
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(60)
    assert net.end("download2")["ok"]
    assert peers[1].dht.core.table.buckets[0].contacts  # told of by the message `port`


def test_metadata_of_several_pieces():
    net = Swarm(metadata="yes", item_bytes=1200 * PIECE)  # 24,000 bytes of hashes: two pieces of metadata
    net.peer(1)
    taker = net.peer(2)
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(4)
    (swarm,) = taker.swarms.values()
    assert swarm.pieces is not None
    assert swarm.pieces.metainfo == of_item("x", 1200 * PIECE, PIECE)


def test_a_seed_that_lies_is_banned():
    net = Swarm()
    liar, _, taker = net.peer(1), net.peer(2), net.peer(3)
    net.say(1, "publish")
    net.say(2, "publish")
    damage(liar, 0, SIZE)
    net.run(1)
    net.say(3, "download")
    net.run(200)
    end = net.end("download3")
    assert end["ok"]
    assert end["bad_pieces"] >= 2
    assert is_whole(taker)
    (swarm,) = taker.swarms.values()
    assert swarm.banned == {"10.0.0.1"}
    assert all(event.fields["from"] == "10.0.0.1" for event in net.of("malformed") if event.peer == address(3))


def test_only_a_liar_has_it():
    net = Swarm(download_timeout_s=30.0)
    liar, taker = net.peer(1), net.peer(2)
    net.say(1, "publish")
    damage(liar, 5 * PIECE, 2 * PIECE)
    net.run(1)
    net.say(2, "download")
    net.run(60)
    end = net.end("download2")
    assert (end["ok"], end["reason"]) == (False, "timeout")
    assert end["bad_pieces"] == 2
    assert {event.fields["from"] for event in net.of("malformed")} == {"10.0.0.1"}
    assert taker.store.size("x") is None or not is_whole(taker)


def test_what_is_on_the_disk_is_not_fetched_again():
    store = MemoryStore()
    store.write("x", 0, content.read("x", 0, 10 * PIECE))
    store.write("x", 12 * PIECE, content.read("x", 12 * PIECE, PIECE))
    net = Swarm()
    net.peer(1)
    taker = net.peer(2, store)
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(60)
    assert net.end("download2")["received_bytes"] == SIZE - 11 * PIECE
    assert is_whole(taker)


def test_a_restart_goes_on_by_itself():
    store = MemoryStore()
    metainfo = of_item("x", SIZE, PIECE)
    store.write("x.torrent", 0, encode_torrent(metainfo))
    store.write("x", 0, content.read("x", 0, 4 * PIECE))
    store.write("bad.torrent", 0, b"d4:infod6:lengthi-1eee")
    net = Swarm()
    net.peer(1)
    net.say(1, "publish")
    net.run(1)
    taker = net.peer(2, store)
    net.run(30)
    assert is_whole(taker)
    assert [event.fields["reason"][:11] for event in net.of("malformed")] == ["bad.torrent"]


def test_rates_are_limited():
    for limit in ("upload_rate_mbit", "download_rate_mbit"):
        net = Swarm()
        net.peer(1, **({limit: 1.0} if limit.startswith("upload") else {}))
        net.peer(2, **({limit: 1.0} if limit.startswith("download") else {}))
        net.say(1, "publish")
        net.run(1)
        net.say(2, "download")
        net.run(60)
        took_s = net.end("download2")["t_s"] - 1
        assert SIZE / 125e3 * 0.85 < took_s < SIZE / 125e3 * 1.3  # the bucket begins with two blocks


def test_whoever_is_done_may_leave():
    net = Swarm(seed_after_s=3.0)
    net.peer(1)
    taker = net.peer(2)
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(30)
    assert net.end("download2")["ok"]
    assert not taker.swarms
    (swarm,) = net.cores[TRACKER]._dump().values()
    assert len(swarm) == 1


def test_a_seed_that_dies_and_one_that_comes():
    net = Swarm(chunk=0)
    net.peer(1, upload_rate_mbit=1.0)
    net.peer(2)
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(2)
    net.kill(address(1), silently=True)
    net.run(20)
    net.peer(3)
    net.say(3, "publish")
    net.run(120)
    end = net.end("download2")
    assert end["ok"]
    assert str(address(3)) in end["providers"]


def test_a_full_disk_ends_a_download():
    net = Swarm()
    net.peer(1)
    taker = net.peer(2, MemoryStore(3 * PIECE))
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(60)
    end = net.end("download2")
    assert not end["ok"]
    assert end["reason"].startswith("the store failed")
    assert not taker.swarms[of_item("x", SIZE, PIECE).info_hash].links


def test_a_bitfield_that_comes_again_tells_what_is_new():  # as aria2 does it
    net = Swarm()
    peer = net.peer(1)
    net.say(1, "download")
    info_hash = of_item("x", SIZE, PIECE).info_hash
    stranger = Address("10.0.0.9", 4000)
    net._hand(peer, Opened(1, stranger, inbound=True))
    net._hand(peer, Received(1, encode_handshake(Handshake(info_hash, bytes(20)))))
    for bits in (b"\x00\x00\x00", b"\x80\x00\x08", b"\x81\x00\x08"):
        net._hand(peer, Received(1, encode_message(Bitfield(bits))))
    (link,) = peer.swarms[info_hash].links.values()
    assert [piece for piece, has in enumerate(link.has) if has] == [0, 7, 20]
    net._hand(peer, Received(1, encode_message(Bitfield(b"\x81\x00\x0c"))))  # there is no piece 21
    assert not peer.swarms[info_hash].links
    assert len(net.of("malformed")) == 1


def test_bad_commands():
    net = Swarm()
    net.peer(1)
    for op, item, size in (("a", "../x", 5), ("b", "x", -1), ("c", "x", 1 << 60), ("d", None, 5), ("e", "", 5)):
        net.command(address(1), op, "publish", item=item, size_bytes=size)
        assert net.end(op)["reason"].startswith("bad item")
    net.command(address(1), "f", "dump")
    assert net.of("state")[0].fields["state"]["swarms"] == []
    net._hand(net.cores[address(1)], TimerFired("tick"))


@pytest.mark.parametrize(
    "options",
    [{"discovery": "dns"}, {"piece_bytes": 5000}, {"upload_slots": -1}, {"ban_after": -1}, {"dht_nodes": "x"}],
)
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options)) if "dht_nodes" not in options else "ADDRESS"):
        BitTorrentOptions(**options)
