"""Index poisoning: of a tracker, of Napster's index, of Gnutella's answers; and what limits for one host help."""

from random import Random

import pytest
from servents import address, servent
from stream_net import StreamNet

from peers.bittorrent.poisoner import Poisoner as SwarmPoisoner
from peers.bittorrent.poisoner import PoisonerOptions as SwarmPoisonerOptions
from peers.core import Address, Setting
from peers.flooding.adversaries import Poisoner as FloodPoisoner
from peers.flooding.adversaries import PoisonerOptions as FloodPoisonerOptions
from peers.flooding.adversaries import Polluter as FloodPolluter
from peers.flooding.adversaries import PolluterOptions as FloodPolluterOptions
from peers.napster import Index, IndexOptions, User
from peers.napster.adversaries import Poisoner as UserPoisoner
from peers.napster.options import PoisonerOptions as UserPoisonerOptions
from peers.tracker import Client, Tracker
from peers.tracker.poisoner import FIRST_PORT, Poisoner, PoisonerOptions
from peers.tracker.server import TrackerOptions
from peers.tracker.swarms import Swarms
from peers.wire.tracker import Announce

SERVER = Address("10.0.0.1", 6969)


def home(number):
    return Address(f"10.0.1.{number}", 6881)


def end(net, op):
    (found,) = net.of("op_end", op=op)
    return found.fields


@pytest.mark.parametrize(("limit", "false"), [(0, 20), (1, 1), (3, 3)])
def test_a_tracker_lists_seeds_that_are_not_there(limit, false):
    net = StreamNet()
    tracker = Tracker(Setting(SERVER), TrackerOptions(max_per_host=limit))
    net.add(tracker)
    net.add(Poisoner(Setting(home(0), (SERVER,), Random(0)), PoisonerOptions(items="x", members=20)))
    for number in (1, 2):
        net.add(Client(Setting(home(number), (SERVER,), Random(number))))
    net.command(home(1), "1", "publish", item="x")
    net.run(3)
    net.command(home(2), "2", "lookup", item="x")
    net.run(5)
    providers = end(net, "2")["providers"]
    assert len(providers) == 1 + false
    assert str(home(1)) in providers
    assert sum(Address.parse(each).port >= FIRST_PORT for each in providers) == false


def test_many_refusals_at_once_end_nobody():
    net = StreamNet()
    net.add(Tracker(Setting(SERVER), TrackerOptions(max_per_host=1)))
    poisoner = Poisoner(Setting(home(0), (SERVER,), Random(0)), PoisonerOptions(items="x", members=20, again_s=5.0))
    net.add(poisoner)
    net.run(12)
    assert poisoner.listed == 3  # the same one, three times


def test_who_is_listed_may_announce_again_at_the_limit():
    swarms = Swarms(100.0, 5, 5, 1)
    announce = Announce(b"h" * 20, b"p" * 20, 1, left=0)
    assert swarms.announce(home(1), announce, 0.0)
    assert swarms.announce(home(1), announce, 1.0)
    assert not swarms.announce(home(1)._replace(port=2), announce, 1.0)
    assert swarms.counts(b"h" * 20, 2.0).seeders == 1


def test_a_torrent_s_swarm_is_poisoned_under_its_info_hash():
    from peers.bittorrent.metainfo import of_item

    options = SwarmPoisonerOptions(items="x", item_bytes=50_000, piece_bytes=16_384)
    poisoner = SwarmPoisoner(Setting(home(0), (SERVER,), Random(0)), options)
    assert poisoner.info_hash("x") == of_item("x", 50_000, 16_384).info_hash


@pytest.mark.parametrize(("limit", "found"), [(0, False), (5, True)])
def test_decoys_fill_what_a_search_may_bring(limit, found):
    net = StreamNet()
    net.add(Index(Setting(SERVER), IndexOptions(max_results=20, results_per_user=limit)))
    net.add(UserPoisoner(Setting(home(0), (SERVER,), Random(0)), UserPoisonerOptions(items="x", decoys=30)))
    net.run(1)
    for number in (1, 2):
        net.add(User(Setting(home(number), (SERVER,), Random(number))))
    net.run(2)
    net.command(home(1), "1", "publish", item="x", size_bytes=10)
    net.run(3)
    net.command(home(2), "2", "lookup", item="x")
    net.run(6)
    assert end(net, "2")["ok"] == found


def test_a_file_that_is_not_there_is_fetched_elsewhere():
    net = StreamNet()
    net.add(Index(Setting(SERVER)))
    net.add(UserPoisoner(Setting(home(0), (SERVER,), Random(0)), UserPoisonerOptions(items="x", told_bytes=1000)))
    for number in (1, 2):
        net.add(User(Setting(home(number), (SERVER,), Random(number))))
    net.run(2)
    net.command(home(1), "1", "publish", item="x", size_bytes=1000)
    net.run(3)
    net.command(home(2), "2", "download", item="x", size_bytes=1000)
    net.run(30)
    assert end(net, "2")["ok"]
    assert end(net, "2")["providers"] == [str(home(1))]


def flooding(bad, options, **asker):
    """The one who asks (0) between a bad servent (1) and, two hops away behind 2, an honest one (3)."""
    net = StreamNet()
    net.add(servent(0, ping_s=0, **asker))
    net.add(bad(Setting(address(1), (address(0),), Random(1)), options))
    net.add(servent(2, 0, ping_s=0))
    net.add(servent(3, 2, ping_s=0))
    net.run(3)
    return net


@pytest.mark.parametrize(("gather_s", "honest"), [(0.0, False), (1.0, True)])
def test_who_answers_everything_answers_first(gather_s, honest):
    net = flooding(FloodPoisoner, FloodPoisonerOptions(ping_s=0), gather_s=gather_s)
    net.command(address(3), "1", "publish", item="x", size_bytes=1000)
    net.run(4)
    net.command(address(0), "2", "lookup", item="x")
    net.run(8)
    providers = end(net, "2")["providers"]
    assert str(address(1)) in providers
    assert (str(address(3)) in providers) == honest


def test_a_bad_copy_is_found_out_and_fetched_elsewhere():
    net = flooding(FloodPolluter, FloodPolluterOptions(ping_s=0), gather_s=1.0)
    for number in (1, 3):
        net.command(address(number), f"p{number}", "publish", item="x", size_bytes=1000)
    net.run(4)
    net.command(address(0), "2", "download", item="x", size_bytes=1000)
    net.run(30)
    assert end(net, "2")["ok"]
    assert end(net, "2")["providers"] == [str(address(3))]


@pytest.mark.parametrize("make", [
    lambda: PoisonerOptions(members=0), lambda: UserPoisonerOptions(decoys=-1),
    lambda: TrackerOptions(max_per_host=-1), lambda: IndexOptions(results_per_user=-1),
    lambda: SwarmPoisonerOptions(item_bytes=0),
])  # fmt: skip
def test_options_that_cannot_be(make):
    with pytest.raises(ValueError, match=r"members|decoys|max_per_host|results_per_user|item_bytes"):
        make()
