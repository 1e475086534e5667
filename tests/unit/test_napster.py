"""Napster: OpenNap's messages against bytes by hand, the index and its users over streams in memory."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import plan_of
from stream_net import StreamNet

from harness.faults import Signal
from harness.memory import MemoryEngine
from harness.records import RunDir
from peers import content
from peers.core import Address, Close, Closed, Opened, Received, Setting, Write
from peers.napster import Index, IndexOptions, User, UserOptions
from peers.napster.library import Library
from peers.store import MemoryStore
from peers.wire import Malformed
from peers.wire import opennap as nap
from peers.wire.opennap import Ack, Login, Message, Reader, Result, Search, Share

INDEX = Address("10.0.0.1", 8888)
SIZE = 300_000
LOGIN = bytes.fromhex("1a000200") + b'foo badpass 6699 "nap 8" 3'


def home(number):
    return Address(f"10.0.1.{number}", 6699)


def network(users=3, firewalled=(), index=None, **options):
    net = StreamNet()
    net.add(Index(Setting(INDEX), IndexOptions(**(index or {}))))
    for number in range(users):
        mine = UserOptions(firewalled=number in firewalled, **options)
        net.add(User(Setting(home(number), (INDEX,), Random(number)), mine))
    net.run(1)
    return net


def end(net, op):
    (found,) = net.of("op_end", op=op)
    return found.fields


# ---- messages ----


def test_the_specification_s_examples():
    assert Login("foo", "badpass", 6699, "nap 8", 3).message().encode() == LOGIN
    assert Login.parse('foo badpass 6699 "nap v0.8" 3 77') == Login("foo", "badpass", 6699, "nap v0.8", 3)
    text = '"generic band - generic song.mp3" b92870e0d41bc8e698cf2f0a1ddfeac7 443332 128 44100 60'
    share = Share("generic band - generic song.mp3", "b92870e0d41bc8e698cf2f0a1ddfeac7", 443332, 128, 44100, 60)
    assert Share.parse(text) == share
    assert share.text == text
    found = '"random band - random song.mp3" 7d733c1e7419674744768db71bff8bcd 2558199 128 44100 159 lefty 3437166285 4'
    result = Result.parse(found)
    assert (result.nick, result.host, result.link) == ("lefty", "205.254.222.204", 4)  # 0xccdefecd from the right
    assert result.message() == Message(201, found)
    search = Search.parse('FILENAME CONTAINS "Sneaker Pimps" MAX_RESULTS 75 FILENAME CONTAINS "tesko suicide"')
    assert search == Search("Sneaker Pimps tesko suicide", 75)
    ack = 'lefty 3437166285 6699 "generic band - generic song.mp3" 10fe9e623b1962da85eea61df7ac1f69 3'
    assert Ack.parse(ack).message(204) == Message(204, ack)
    assert nap.decode_ask(b'lefty "a b.mp3" 17') == ("lefty", "a b.mp3", 17)
    assert nap.decode_ask(b'lefty "a b.mp3" ') is None


def test_messages_in_any_pieces():
    data = LOGIN + Message(202).encode() + Message(0, "x").encode()
    reader = Reader()
    messages = [message for at in range(len(data)) for message in reader.feed(data[at : at + 1])]
    assert messages == [Message(2, 'foo badpass 6699 "nap 8" 3'), Message(202, ""), Message(0, "x")]


@pytest.mark.parametrize("data", ["010803 00", "0100 0200 ff", "0100 0200 00"])
def test_what_is_no_message(data):
    with pytest.raises(Malformed):
        Reader().feed(bytes.fromhex(data) + b"x" * 3)


@given(st.text(max_size=200))
def test_no_text_makes_a_parser_fail(text):
    for parse in (Login.parse, Share.parse, Search.parse, Result.parse, Ack.parse):
        try:
            parse(text)
        except Malformed:
            continue
    try:
        nap.decode_ask(text.encode())
    except Malformed:
        return


def test_the_library_finds_by_words():
    library = Library()
    for nick, name in (("a", "red blue.mp3"), ("b", "red blue.mp3"), ("a", "Red green")):
        assert library.add(nick, Share(name, "0", 1))
    assert not library.add("a", Share("red blue.mp3", "0", 2))
    assert [(nick, share.name) for nick, share in library.find("BLUE red")] == [
        ("a", "red blue.mp3"), ("b", "red blue.mp3"),
    ]  # fmt: skip
    assert len(list(library.find("red"))) == library.count == 3
    assert [list(library.find(text)) for text in ("", "re", "red yellow")] == [[], [], []]
    for nick, name in (("a", "red blue.mp3"), ("b", "red blue.mp3"), ("a", "Red green"), ("a", "Red green")):
        library.remove(nick, name)
    assert (library.count, library._by_name, library._names) == (0, {}, {})


# ---- the network ----


def test_publish_lookup_download_and_share_again():
    net = network()
    net.command(home(0), "1", "publish", item="some song", size_bytes=SIZE)
    net.run(2)
    net.command(home(1), "2", "lookup", item="some song")
    net.command(home(1), "3", "download", item="some song", size_bytes=SIZE)
    net.command(home(1), "4", "lookup", item="other song")
    net.run(8)
    net.command(home(2), "5", "lookup", item="some song")
    net.run(9)
    assert (end(net, "2")["ok"], end(net, "2")["providers"]) == (True, [str(home(0))])
    down = end(net, "3")
    assert (down["ok"], down["bytes"], down["providers"]) == (True, SIZE, [str(home(0))])
    assert end(net, "4")["reason"] == "not found"
    assert sorted(end(net, "5")["providers"]) == [str(home(0)), str(home(1))]
    assert net.cores[home(1)].store.read("some song", 0, SIZE) == content.read("some song", 0, SIZE)
    running = [session.running for session in net.cores[INDEX].users.values()]
    assert running == [{"up": 0, "down": 0}] * 3  # 218 to 221 have come in pairs
    assert not net.cores[home(0)].uploads.running
    assert not net.of("malformed")


def test_every_message_to_the_index_is_told_by_both_sides():
    net = network()
    net.command(home(0), "1", "publish", item="x", size_bytes=10)
    net.command(home(1), "2", "lookup", item="x")
    net.run(5)
    told = {name: {(e.fields["kind"], e.fields["id"]) for e in net.of(name)} for name in ("sent", "received")}
    assert told["sent"] == told["received"]
    assert {kind for kind, _ in told["sent"]} >= {"login", "login_ack", "share", "search", "result", "search_end"}


def test_a_firewalled_user_pushes():
    net = network(firewalled={0})
    net.command(home(0), "1", "publish", item="x", size_bytes=SIZE)
    net.run(2)
    net.command(home(1), "2", "download", item="x", size_bytes=SIZE)
    net.run(10)
    assert (end(net, "2")["ok"], end(net, "2")["bytes"]) == (True, SIZE)
    assert [event.peer for event in net.of("sent", kind="send")] == [home(0)]


def test_two_firewalled_users_cannot_meet():
    net = network(firewalled={0, 1}, timeout_s=1.0, retry_s=0.1, attempts=2)
    net.command(home(0), "1", "publish", item="x", size_bytes=SIZE)
    net.run(2)
    net.command(home(1), "2", "download", item="x", size_bytes=SIZE)
    net.run(20)
    assert (end(net, "2")["ok"], end(net, "2")["reason"]) == (False, "timeout")


def test_the_dead_index_leaves_transfers_alive_and_searches_dead():
    net = network(timeout_s=2.0)
    net.command(home(0), "1", "publish", item="x", size_bytes=3_000_000)
    net.run(2)
    net.command(home(1), "2", "download", item="x", size_bytes=3_000_000)
    net.run(2.15)
    assert 0 < net.cores[home(1)].store.size("x.part") < 3_000_000
    net.kill(INDEX)
    net.command(home(2), "3", "lookup", item="x")
    net.run(10)
    assert end(net, "2")["ok"]
    assert end(net, "3")["reason"] == "the index does not answer"
    net.add(Index(Setting(INDEX)))
    net.run(20)
    net.command(home(2), "4", "lookup", item="x")
    net.run(21)
    assert sorted(end(net, "4")["providers"]) == [str(home(0)), str(home(1))]  # told anew after the login


def test_the_next_user_goes_on_where_one_went_away():
    net = network(users=3)
    for number in (0, 1):
        net.command(home(number), str(number), "publish", item="x", size_bytes=3_000_000)
    net.run(2)
    net.command(home(2), "2", "download", item="x", size_bytes=3_000_000)
    net.run(2.15)
    (first,) = (address for address in (home(0), home(1)) if net.cores[address].uploads.running)
    net.kill(first)
    net.run(20)
    down = end(net, "2")
    assert (down["ok"], down["bytes"], down["sources"]) == (True, 3_000_000, 2)  # no byte twice


def test_wrong_content_is_not_kept():
    net = network(users=2, attempts=2, retry_s=0.1)
    user = net.cores[home(0)]
    user.store.write("x", 0, bytes(100))
    net.command(home(0), "1", "publish", item="x", size_bytes=100)
    net.run(2)
    net.command(home(1), "2", "download", item="x", size_bytes=100)
    net.run(20)
    assert (end(net, "2")["ok"], end(net, "2")["reason"]) == (False, "the content is wrong")
    assert net.cores[home(1)].store.names() == []


SPEC = """\
name: napster
duration: 60 s
topology: {generator: star, hosts: 3}
links: {access: {delay: 10 ms, rate: 2 Mbit/s}}
overlays:
  nap: {protocol: napster, peers: [{role: index, on: h1}, {role: user, on: [h2, h3]}]}
items: {count: 1, size: 2 MB}
"""


def test_killing_the_index_in_the_memory_engine(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    engine = MemoryEngine(plan, RunDir(tmp_path / "run").create())
    engine.build(lambda _: None)
    engine.start([peer.name for peer in plan.peers])
    events = []

    def until(t_s):
        while engine.now() < t_s:
            events.extend(notice for notice in engine.wait(t_s) if hasattr(notice, "event"))

    until(3)
    engine.command("nap-h2", "1", "publish", {"item": "item00", "size_bytes": 2_000_000})
    until(4)
    engine.command("nap-h3", "2", "download", {"item": "item00", "size_bytes": 2_000_000})
    until(7)  # 2 MB take 8 s at 2 Mbit/s
    engine.apply([Signal("nap-h1", "KILL")])
    engine.command("nap-h3", "3", "lookup", {"item": "item01"})
    until(30)
    ended = {event.fields["op"]: event for event in events if event.event == "op_end"}
    assert ended["2"].fields["ok"]
    assert ended["2"].fields["bytes"] == 2_000_000
    assert 12 < ended["2"].t_ns / 1e9 < 16
    assert (ended["3"].fields["ok"], ended["3"].fields["reason"]) == (False, "the index does not answer")


# ---- hostile input ----


def said(effects):
    return b"".join(effect.data for effect in effects if isinstance(effect, Write))


def logged_in(**options):
    index = Index(Setting(INDEX, trace=False), IndexOptions(**options))
    index.handle(0.0, Opened(1, home(0), inbound=True))
    index.handle(0.0, Received(1, LOGIN))
    return index


def test_a_flood_of_shares_is_bounded():
    index = logged_in(max_shares=10, max_files=5)
    flood = b"".join(Message(100, Share(f"song {n}", "0", 1).text).encode() for n in range(2000))
    effects = index.handle(1.0, Received(1, flood))
    assert index.library.count == 0  # cut off after so many complaints, and all it shared is gone
    assert Close(1) in effects
    assert len(said(effects)) < 100_000
    assert not index.sessions
    assert not index.users


def test_streams_without_login_are_bounded():
    index = Index(Setting(INDEX, trace=False))
    for conn in range(1, 2001, 2):
        index.handle(0.0, Opened(conn, home(conn % 250), inbound=True))
    assert len(index.sessions) == 256


def test_a_nick_is_not_taken_from_elsewhere_but_from_the_same_host():
    index = logged_in()
    index.handle(0.0, Opened(3, home(1), inbound=True))
    assert Close(3) in index.handle(0.0, Received(3, LOGIN))
    index.handle(0.0, Opened(5, home(0), inbound=True))
    assert Close(1) in index.handle(0.0, Received(5, LOGIN))
    assert index.users["foo"].conn == 5


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\b", "..", "a\0b"])
def test_no_name_leads_out_of_the_store(name):
    net = network(users=1)
    net.command(home(0), "1", "download", item=name, size_bytes=5)
    net.run(5)
    assert not end(net, "1")["ok"]
    user = net.cores[home(0)]
    user.handle(5.0, Opened(1, home(9), inbound=True))
    effects = user.handle(5.0, Received(1, b'GETevil "' + name.encode() + b'" 0'))
    assert said(effects) in (b"FILE NOT SHARED", b"INVALID REQUEST", b"")  # or it waits for the rest


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([
            LOGIN, Message(3, "x").encode(), Message(100, '"a b" 0 5 1 1 1').encode(), Message(102, '"a b"').encode(),
            Message(200, 'FILENAME CONTAINS "a"').encode(), Message(201, '"x" 0 5 1 1 1 foo 16777226 3').encode(),
            Message(202).encode(), Message(204, 'foo 16777226 99 "x" 0 3').encode(), Message(206, 'foo "x"').encode(),
            Message(203, "foo " + "y" * 2040).encode(), Message(500, 'foo "a b"').encode(), Message(218).encode(),
            Message(501, 'foo 16777226 99 "x" 0 3').encode(), b"1", b"GET", b"SEND", b'foo "x" 5', b"5hello", b"0",
        ]),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(PIECES)
def test_no_bytes_make_the_index_fail(pieces):
    index = logged_in()
    for piece in pieces:
        index.handle(1.0, Received(1, piece))
    index.handle(2.0, Closed(1, "reset"))
    assert not index.sessions
    assert index.library.count == 0


@settings(max_examples=150, deadline=None)
@given(PIECES, st.lists(st.sampled_from([2, 4, 6, 1]), min_size=12, max_size=12))
def test_no_bytes_make_a_user_fail(pieces, conns):
    net = StreamNet()
    user = User(Setting(home(0), (INDEX,), Random(1), store=MemoryStore(max_bytes=10**6)), UserOptions(attempts=2))
    user.store.share("a b", 5)
    net.add(user)
    for happening in (Opened(2, INDEX, inbound=False), Received(2, Message(3, "x").encode())):
        net._carry_out(user, user.handle(0.0, happening))
    net.command(home(0), "1", "download", item="x", size_bytes=5)
    net._carry_out(user, user.handle(0.0, Opened(1, home(3), inbound=True)))
    for piece, conn in zip(pieces, conns, strict=False):
        net._carry_out(user, user.handle(0.1, Opened(4, home(4), inbound=False)))
        net._carry_out(user, user.handle(0.1, Received(conn, piece)))
    net.run(200)
    assert len(net.of("op_end", op="1")) == 1
    assert not user.strangers
    assert not user.uploads.running
