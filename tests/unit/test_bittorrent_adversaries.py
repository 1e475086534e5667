"""Swarms with bad peers: bad pieces, free riders, requests that are never answered; the choker that draws lots."""

from random import Random

import pytest
from stream_net import StreamNet

from peers import content
from peers.bittorrent.adversaries import FreeRider, Polluter, Withholder
from peers.bittorrent.choker import Choker
from peers.bittorrent.link import Link, Rate
from peers.bittorrent.options import BitTorrentOptions, FreeRiderOptions, PolluterOptions, WithholderOptions
from peers.bittorrent.peer import Peer
from peers.bittorrent.tracker import Tracker
from peers.core import Address, Setting

PIECE = 16 * 1024
SIZE = 12 * PIECE
TRACKER = Address("10.0.0.100", 6969)


def address(number):
    return Address(f"10.0.0.{number}", 6881)


class Swarm(StreamNet):
    def __init__(self):
        super().__init__(chunk=1448)
        self.add(Tracker(Setting(TRACKER, rng=Random(0))))

    def peer(self, number, kind=Peer, chosen=BitTorrentOptions, **options):
        setting = Setting(address(number), (TRACKER,), Random(number), identity=Random(number))
        self.add(kind(setting, chosen(piece_bytes=PIECE, item_bytes=SIZE, **options)))
        return self.cores[address(number)]

    def say(self, number, verb):
        self.command(address(number), f"{verb}{number}", verb, item="x", size_bytes=SIZE)

    def end(self, op):
        (event,) = self.of("op_end", op=op)
        return event.fields


def test_a_polluter_is_found_out_piece_by_piece_and_banned():
    net = Swarm()
    net.peer(1, Polluter, PolluterOptions)
    net.peer(2)
    down = net.peer(3, upload_slots=2)
    net.say(1, "publish")
    net.run(1)
    net.say(3, "download")
    net.run(4)
    net.say(2, "publish")
    net.run(150)
    end = net.end("download3")
    assert end["ok"]
    assert down.store.read("x", 0, SIZE) == content.read("x", 0, SIZE)
    assert end["bad_pieces"] >= 1
    swarm = next(iter(down.swarms.values()))
    assert swarm.banned == {"10.0.0.1"}


def test_a_free_rider_gets_all_and_gives_nothing():
    net = Swarm()
    net.peer(1)
    rider = net.peer(2, FreeRider, FreeRiderOptions, upload_slots=4)  # as an option of the whole overlay would have it
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(30)
    assert net.end("download2")["ok"]
    net.peer(3)
    net.kill(address(1))
    net.say(3, "download")
    net.run(60)
    assert not net.of("op_end", op="download3")
    assert next(iter(rider.swarms.values())).uploaded == 0


@pytest.mark.parametrize("rate_mbit", [0.0, 0.1])
def test_who_takes_requests_and_is_silent_is_snubbed(rate_mbit):
    """0.1 Mbit/s is a block every 1.3 s: slow, but no silence."""
    net = Swarm()
    net.peer(1, Withholder, WithholderOptions, upload_rate_mbit=rate_mbit)
    down = net.peer(2, request_timeout_s=5.0, download_timeout_s=40.0)
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(60)
    end = net.end("download2")
    assert end["ok"] == (rate_mbit > 0)
    if not end["ok"]:
        assert (end["reason"], end["received_bytes"]) == ("timeout", 0)
        (swarm,) = down.swarms.values()
        assert [link.snubbed for link in swarm.links.values()] == [True]


def wanting(number, given):
    link = Link(number, address(number), inbound=True, opened_at=0.0, down=Rate(0.0), up=Rate(0.0))
    link.wanted = True
    link.down.add(given, 10.0)
    return link


def test_chokers():
    links = [wanting(number, 1000 * number) for number in range(1, 11)]
    by_rate = Choker(3, 3, "rate", Random(1))
    by_lot = Choker(3, 3, "rate", Random(1), "random")
    nobody = Choker(0, 3, "rate", Random(1))
    assert {10, 9} <= {link.conn for link in by_rate.round(links, False, 10.0)}
    rounds = [{link.conn for link in by_lot.round(links, False, 10.0)} for _ in range(40)]
    assert all(len(chosen) == 3 for chosen in rounds)
    assert set().union(*rounds) == set(range(1, 11))
    assert nobody.round(links, False, 10.0) == set()
    assert nobody.next(links, False, 10.0) == []


def test_pieces_are_told_where_that_is_asked_for():
    net = Swarm()
    net.peer(1)
    net.peer(2, tell_pieces=True)
    net.say(1, "publish")
    net.run(1)
    net.say(2, "download")
    net.run(30)
    told = net.of("piece")
    assert sorted(event.fields["piece"] for event in told) == list(range(12))
    assert {tuple(event.fields["hosts"]) for event in told} == {("10.0.0.1",)}


@pytest.mark.parametrize("make", [
    lambda: BitTorrentOptions(choker="none"), lambda: BitTorrentOptions(upload_slots=-1),
    lambda: PolluterOptions(bad_pieces=-1),
])  # fmt: skip
def test_options_that_cannot_be(make):
    with pytest.raises(ValueError, match=r"choker|upload_slots|bad_pieces"):
        make()
