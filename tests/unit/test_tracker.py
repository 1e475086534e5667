"""Tracker and clients joined by a network in memory, by UDP and by HTTP; the tracker's bounds and time limits."""

from random import Random

import pytest
from datagram_net import Net

from peers.core import (
    Address,
    Close,
    Closed,
    Command,
    Datagram,
    Opened,
    Received,
    SendDatagram,
    Setting,
    Started,
    TimerFired,
    Write,
    emitted,
)
from peers.tracker import Client, ClientOptions, Tracker, TrackerOptions
from peers.tracker.connection_ids import ConnectionIds
from peers.tracker.swarms import Swarms
from peers.wire.bencode import decode
from peers.wire.http import Data, Head, Reader
from peers.wire.tracker import Announce, Announced, Counts, Failure, Listed
from peers.wire.udp_tracker import Connect, Connected, Scrape, Scraped, decode_answer, encode_request

HOME = Address("10.0.0.1", 6969)
SPARE = Address("10.0.0.2", 6969)
STRANGER = Address("10.9.9.9", 5000)
HASH, OTHER_HASH = b"h" * 20, b"o" * 20


def client(number, trackers=(HOME,), **options):
    setting = Setting.seeded(Address(f"10.0.1.{number}", 6881), tuple(trackers), number)
    return Client(setting, ClientOptions(**options))


def tracker(address=HOME, **options):
    return Tracker(Setting.seeded(address, (), 1), TrackerOptions(**options))


def build(clients=3, latency_s=0.02, interval_s=60, **options):
    net = Net(latency_s)
    net.add(tracker(interval_s=interval_s))
    for number in range(1, clients + 1):
        net.add(client(number, **options))
    return net


def at(number):
    return Address(f"10.0.1.{number}", 6881)


def announce(number=0, left=0, event="", info_hash=HASH, numwant=-1):
    return Announce(info_hash, bytes([number]) * 20, 7000 + number, left=left, event=event, numwant=numwant)


# ---- clients and tracker ----


@pytest.mark.parametrize("transport", ["udp", "http"])
def test_what_was_published_is_found(transport):
    net = build(transport=transport)
    net.command(at(1), "publish", "publish", item="x")
    net.run(1.0)
    net.command(at(2), "lookup", "lookup", item="x")
    net.command(at(3), "nothing", "lookup", item="y")
    net.command(at(1), "own", "lookup", item="x")
    net.run(1.0)
    ends = net.ends()
    common = {"attempts": 1, "tracker": "10.0.0.1:6969", "hops": 1}
    assert ends["publish"] == common | {
        "op": "publish", "verb": "publish", "item": "x", "ok": True, "providers": [], "seeders": 1, "leechers": 0,
    }  # fmt: skip
    assert ends["lookup"] == common | {
        "op": "lookup", "verb": "lookup", "item": "x", "ok": True, "providers": ["10.0.1.1:6881"],
        "seeders": 1, "leechers": 1,
    }  # fmt: skip
    assert ends["nothing"]["reason"] == "not found"
    assert ends["own"]["providers"] == ["10.0.1.1:6881"]
    assert ends["own"]["hops"] == 0
    # who only asked is not listed any more
    net.command(HOME, "dump", "dump")
    [swarm] = net.emitted("state")[0]["state"]["swarms"].values()
    assert [member["address"] for member in swarm] == ["10.0.1.1:6881"]


def test_who_is_only_asking_is_not_taken_for_a_provider():
    net = build(3)
    for number in (1, 2, 3):
        net.command(at(number), str(number), "lookup", item="x")
    net.run(1.0)
    assert [net.ends()[op]["leechers"] for op in "123"] == [1, 2, 3]
    assert [net.ends()[op]["reason"] for op in "123"] == ["not found"] * 3


def test_times_and_messages_of_a_lookup_by_udp():
    net = build()
    began = net.now
    net.command(at(1), "1", "lookup", item="x")
    net.run(1.0)
    [ended] = [t for t, _, event, _ in net.events if event == "op_end"]
    assert ended - began == pytest.approx(4 * 0.02)  # two round trips: connection id, announce
    mine = [(event, fields["kind"], fields["bytes"]) for _, _, event, fields in net.events if fields.get("op") == "1"
            if event in ("sent", "received")]  # fmt: skip
    assert mine == [
        ("sent", "connect", 16),
        ("received", "connect_response", 16),
        ("sent", "announce", 98),
        ("received", "announce_response", 20),
        ("sent", "announce", 98),  # the withdrawal
        ("received", "announce_response", 20),
    ]
    # the connection id is good for a minute
    net.command(at(1), "2", "lookup", item="x")
    net.run(1.0)
    kinds = [fields["kind"] for fields in net.emitted("sent", at(1)) if fields["op"] == "2"]
    assert kinds == ["announce", "announce"]
    net.run(60.0)
    net.command(at(1), "3", "lookup", item="x")
    net.run(1.0)
    assert [f["kind"] for f in net.emitted("sent", at(1)) if f["op"] == "3"] == ["connect", "announce", "announce"]


def test_repetitions_double_until_the_time_is_over():
    net = Net(0.02)
    net.add(client(1, retry_s=1.5, timeout_s=6.0))
    began = net.now
    net.command(at(1), "1", "lookup", item="x")
    net.run(20.0)
    times = [t - began for t, _, event, _ in net.events if event == "sent"]
    assert times == pytest.approx([0.0, 1.5, 4.5])
    [(ended, _, _, end)] = [event for event in net.events if event[2] == "op_end"]
    assert ended - began == pytest.approx(6.0)
    assert (end["ok"], end["reason"], end["attempts"]) == (False, "timeout", 3)


def test_a_tracker_without_a_process_is_refused_by_http():
    net = Net(0.02)
    net.add(client(1, transport="http", timeout_s=2.0))
    net.command(at(1), "1", "lookup", item="x")
    net.run(5.0)
    assert net.ends()["1"]["reason"] == "refused"


def test_a_tracker_that_comes_back_in_time_is_asked_again():
    for transport in ("udp", "http"):
        net = Net(0.02)
        net.add(client(1, transport=transport))
        net.command(at(1), "1", "publish", item="x")
        net.run(1.0)
        net.add(tracker())
        net.run(3.0)
        assert net.ends()["1"]["attempts"] == 2


@pytest.mark.parametrize("transport", ["udp", "http"])
def test_trackers_are_tried_in_turn_and_the_one_that_answers_comes_first(transport):
    net = Net(0.02)
    net.add(tracker(SPARE))
    net.add(client(1, (HOME, SPARE), transport=transport, timeout_s=2.0))
    net.command(at(1), "1", "publish", item="x")
    net.run(4.0)
    assert net.ends()["1"]["tracker"] == str(SPARE)
    began = net.now
    net.command(at(1), "2", "publish", item="y")
    net.run(4.0)
    [ended] = [t for t, _, event, fields in net.events if event == "op_end" and fields["op"] == "2"]
    assert ended - began < 0.2
    edges = [(fields["remote"], fields["up"]) for fields in net.emitted("neighbour", at(1))]
    assert edges == [(str(SPARE), True)]


def test_without_trackers_an_operation_ends_at_once():
    core = client(1, ())
    core.handle(0.0, Started())
    for verb in ("publish", "lookup"):
        [end] = emitted(core.handle(0.0, Command("1", verb, {"item": verb})), "op_end")
        assert (end["ok"], end["reason"]) == (False, "no tracker is known")


@pytest.mark.parametrize("item", [None, "", 5, "\ud800"])
def test_commands_that_make_no_sense(item):
    [end] = emitted(client(1).handle(0.0, Command("1", "lookup", {"item": item})), "op_end")
    assert end["reason"].startswith("bad item")


def test_shares_are_announced_again_so_that_a_restarted_tracker_learns_of_them():
    net = build(2, interval_s=10)
    net.command(at(1), "1", "publish", item="x")
    net.run(1.0)
    net.kill(HOME)
    net.add(tracker(interval_s=10))
    net.command(at(2), "2", "lookup", item="x")
    net.run(1.0)
    assert net.ends()["2"]["reason"] == "not found"
    net.run(9.0)
    net.command(at(2), "3", "lookup", item="x")
    net.run(1.0)
    assert net.ends()["3"]["ok"]
    assert "1" in net.ends()
    assert len(net.ends()) == 3  # nobody is told of what nobody asked for


def test_a_share_that_no_tracker_took_is_announced_later():
    net = Net(0.02)
    net.add(client(1))
    net.command(at(1), "1", "publish", item="x")
    net.run(6.0)
    assert not net.ends()["1"]["ok"]
    core = net.add(tracker())
    net.run(5.5)  # 5 s after the failure
    assert len(core._dump()) == 1


def test_the_option_caps_the_interval():
    net = build(1, interval_s=1000)
    net.add(client(2, interval_s=20.0))
    net.command(at(1), "1", "publish", item="x")
    net.command(at(2), "2", "publish", item="x")
    net.run(61.0)
    announces = {number: sum(f["kind"] == "announce" for f in net.emitted("sent", at(number))) for number in (1, 2)}
    assert announces == {1: 1, 2: 4}  # at 0, 20, 40, 60 s


def test_silent_members_are_forgotten_after_two_intervals():
    net = build(3, interval_s=10)
    net.command(at(1), "1", "publish", item="x")
    net.run(1.0)
    net.kill(at(1))
    for seconds, found in ((18.0, True), (2.0, False)):
        net.run(seconds)
        net.command(at(2), f"after {seconds}", "lookup", item="x")
        net.run(0.5)
        assert net.ends()[f"after {seconds}"]["ok"] is found


def test_a_client_that_stops_in_order_says_goodbye():
    net = build(2)
    net.command(at(1), "1", "publish", item="x")
    net.run(1.0)
    net.command(at(1), "", "stop")
    net.run(1.0)
    net.command(at(2), "2", "lookup", item="x")
    net.run(1.0)
    assert net.ends()["2"]["reason"] == "not found"


def test_the_tracker_is_a_neighbour_while_it_answers():
    net = build(1, timeout_s=2.0)
    net.command(at(1), "1", "publish", item="x")
    net.run(1.0)
    net.kill(HOME)
    net.command(at(1), "2", "lookup", item="y")
    net.run(3.0)
    assert [fields["up"] for fields in net.emitted("neighbour", at(1))] == [True, False]


def test_a_connection_id_that_is_not_valid_any_more_is_asked_for_again():
    net = build(1)
    net.command(at(1), "1", "publish", item="x")
    net.run(1.0)
    net.kill(HOME)
    net.add(Tracker(Setting.seeded(HOME, (), 99)))  # it has another secret
    net.command(at(1), "2", "lookup", item="y")
    net.run(1.0)
    assert net.ends()["2"]["reason"] == "not found"
    kinds = [fields["kind"] for fields in net.emitted("sent", at(1)) if fields.get("op") == "2"]
    assert kinds == ["announce", "connect", "announce", "announce"]


def test_answers_from_elsewhere_or_to_nobody_change_nothing():
    core = client(1)
    core.handle(0.0, Started())
    effects = core.handle(0.0, Command("1", "lookup", {"item": "x"}))
    [request] = [effect for effect in effects if isinstance(effect, SendDatagram)]
    transaction = int.from_bytes(request.data[12:16], "big")
    forged = b"\0\0\0\0" + transaction.to_bytes(4, "big") + bytes(8)
    assert not any(isinstance(e, SendDatagram) for e in core.handle(0.0, Datagram(STRANGER, forged)))
    wrong = b"\0\0\0\0" + (transaction ^ 1).to_bytes(4, "big") + bytes(8)
    assert not any(isinstance(e, SendDatagram) for e in core.handle(0.0, Datagram(HOME, wrong)))
    assert any(isinstance(e, SendDatagram) for e in core.handle(0.0, Datagram(HOME, forged)))


def test_a_failing_tracker_is_quoted():
    core = client(1, transport="http")
    effects = core.handle(0.0, Command("1", "lookup", {"item": "x"}))
    conn = next(effect.conn for effect in effects if hasattr(effect, "conn"))
    core.handle(0.0, Opened(conn, HOME, False))
    answer = b"HTTP/1.0 200 OK\r\n\r\nd14:failure reason8:too busye"
    core.handle(0.0, Received(conn, answer))
    [end] = emitted(core.handle(0.0, Closed(conn, "eof")), "op_end")
    assert end["reason"] == "the tracker says: too busy"


# ---- the tracker alone, by UDP ----


def udp(core, request, connection_id=0, now=0.0, source=STRANGER):
    effects = core.handle(now, Datagram(source, encode_request(connection_id, 42, request)))
    [reply] = [effect for effect in effects if isinstance(effect, SendDatagram)]
    assert reply.to == source
    transaction, answer = decode_answer(reply.data)
    assert transaction == 42
    return answer


def connected(core, now=0.0, source=STRANGER):
    answer = udp(core, Connect(), now=now, source=source)
    assert isinstance(answer, Connected)
    return answer.connection_id


def test_connection_ids_hold_for_two_minutes_and_for_one_address():
    ids = ConnectionIds(b"secret")
    issued = ids.issue("10.0.0.1", 59.0)
    assert ids.valid(issued, "10.0.0.1", 179.0)
    assert not ids.valid(issued, "10.0.0.1", 180.0)
    assert not ids.valid(issued, "10.0.0.2", 59.0)
    assert not ConnectionIds(b"other").valid(issued, "10.0.0.1", 59.0)


def test_without_a_connection_id_nothing_is_stored():
    core = tracker()
    connection_id = connected(core)
    assert isinstance(udp(core, announce(), connection_id + 1), Failure)
    assert isinstance(udp(core, announce(), connection_id, source=Address("10.9.9.8", 1)), Failure)
    assert udp(core, Scrape((HASH,)), connection_id) == Scraped((Counts(0, 0, 0),))
    assert udp(core, announce(), connection_id) == Announced(60, 0, 1)
    assert udp(core, Scrape((HASH, OTHER_HASH)), connection_id) == Scraped((Counts(1, 0, 0), Counts(0, 0, 0)))


def test_who_is_listed_for_whom():
    core = tracker()
    connection_id = connected(core)
    udp(core, announce(1), connection_id)
    udp(core, announce(2, left=5, event="started"), connection_id)
    answer = udp(core, announce(3, left=5, event="started"), connection_id)
    assert (answer.seeders, answer.leechers) == (1, 2)
    assert sorted(peer.address.port for peer in answer.peers) == [7001, 7002]
    assert udp(core, announce(3, left=5, numwant=0), connection_id).peers == ()
    assert len(udp(core, announce(3, left=5, numwant=1), connection_id).peers) == 1
    udp(core, announce(2, event="completed"), connection_id)
    assert udp(core, Scrape((HASH,)), connection_id) == Scraped((Counts(2, 1, 1),))
    answer = udp(core, announce(1, event="stopped"), connection_id)
    assert answer == Announced(60, 1, 1)


def test_numwant_draws_at_random_and_is_bounded():
    core = tracker()
    connection_id = connected(core)
    for port in range(1, 301):
        udp(core, announce()._replace(port=port), connection_id)
    drawn = [udp(core, announce(numwant=numwant), connection_id).peers for numwant in (-1, -1, 1000)]
    assert [len(peers) for peers in drawn] == [50, 50, 200]
    assert set(drawn[0]) != set(drawn[1])


def test_rubbish_is_counted_and_not_answered():
    core = tracker()
    for data in (b"", b"rubbish", bytes(16)):
        effects = core.handle(0.0, Datagram(STRANGER, data))
        assert len(emitted(effects, "malformed")) == 1
        assert not any(isinstance(effect, SendDatagram) for effect in effects)


def test_swarms_are_bounded():
    core = tracker(max_swarms=2, max_members=2)
    connection_id = connected(core)
    for info_hash in (HASH, OTHER_HASH):
        assert isinstance(udp(core, announce(1, info_hash=info_hash), connection_id), Announced)
    assert isinstance(udp(core, announce(1, info_hash=b"3" * 20), connection_id), Failure)
    assert isinstance(udp(core, announce(2), connection_id), Announced)
    assert isinstance(udp(core, announce(3), connection_id), Failure)
    assert isinstance(udp(core, announce(2), connection_id), Announced)  # who is in stays in
    # at 120 s all are forgotten, and there is room again
    later = connected(core, 120.0)
    assert isinstance(udp(core, announce(1, info_hash=b"3" * 20), later, 120.0), Announced)


def test_swarms_expire_by_hand():
    swarms = Swarms(ttl_s=10.0, max_swarms=5, max_members=5)
    one, two = Address("10.0.0.1", 1), Address("10.0.0.2", 2)
    swarms.announce(one, announce(1), 0.0)
    swarms.announce(two, announce(2, left=1), 5.0)
    assert swarms.counts(HASH, 9.9) == Counts(1, 0, 1)
    assert swarms.counts(HASH, 10.0) == Counts(0, 0, 1)
    assert swarms.sample(HASH, one, 5, Random(1), 10.0) == (Listed(two, bytes([2]) * 20),)
    assert swarms.sample(HASH, two, 5, Random(1), 10.0) == ()
    swarms.expire(15.0)
    assert swarms.dump(15.0) == {}


# ---- the tracker alone, by HTTP ----


def http(core, request, conn=1):
    core.handle(0.0, Opened(conn, STRANGER, True))
    effects = core.handle(0.0, Received(conn, request))
    return response_in(effects), effects


def response_in(effects):
    data = b"".join(effect.data for effect in effects if isinstance(effect, Write))
    parts = Reader("response").feed(data)
    [head] = [part for part in parts if isinstance(part, Head)]
    return head, b"".join(part.data for part in parts if isinstance(part, Data))


def get(target):
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


ANNOUNCE = f"/announce?info_hash={'h' * 20}&peer_id={'p' * 20}&port=7001&left=0"


def test_announce_and_scrape_by_http():
    core = tracker()
    http(core, get(ANNOUNCE))
    (head, body), effects = http(core, get(ANNOUNCE.replace("7001", "7002") + "&compact=1"), 3)
    assert head.status == 200
    assert decode(body) == {
        b"interval": 60, b"complete": 2, b"incomplete": 0, b"peers": bytes((10, 9, 9, 9)) + (7001).to_bytes(2, "big"),
    }  # fmt: skip
    assert Close(3) in effects
    (_, body), _ = http(core, get("http://10.0.0.1:6969" + ANNOUNCE.replace("7001", "7003") + "&no_peer_id=1"), 5)
    assert {b"ip": b"10.9.9.9", b"port": 7002} in decode(body)[b"peers"]
    (_, body), _ = http(core, get(f"/scrape?info_hash={'h' * 20}"), 7)
    assert decode(body) == {b"files": {HASH: {b"complete": 3, b"downloaded": 0, b"incomplete": 0}}}


@pytest.mark.parametrize(
    ("request_", "status", "malformed"),
    [
        (get("/"), 404, 0),
        (get(ANNOUNCE).replace(b"GET", b"POST"), 405, 0),
        (b"rubbish\r\n\r\n", 400, 1),
        (get("/announce?port=1"), 200, 1),
        (get("/scrape"), 200, 1),
        (b"GET / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", 400, 1),
        (b"x" * 9000, 400, 1),
    ],
)
def test_bad_requests(request_, status, malformed):
    (head, body), effects = http(tracker(), request_)
    assert head.status == status
    assert len(emitted(effects, "malformed")) == malformed
    assert Close(1) in effects
    if status == 200:
        assert set(decode(body)) == {b"failure reason"}


def test_slow_requests_are_cut_off_however_they_trickle():
    core = tracker(idle_s=10.0)
    effects = core.handle(0.0, Opened(1, STRANGER, True))
    assert [(effect.name, effect.at) for effect in effects] == [("idle 1", 10.0)]
    for second in range(1, 10):
        assert core.handle(float(second), Received(1, b"G")) == []  # no byte moves the limit
    effects = core.handle(10.0, TimerFired("idle 1"))
    assert response_in(effects)[0].status == 408
    assert len(emitted(effects, "malformed")) == 1
    assert core._streams == {}
    assert core.handle(11.0, Received(1, b"ET")) == []


def test_streams_are_bounded():
    core = tracker(max_http_streams=2)
    for conn in (1, 3):
        core.handle(0.0, Opened(conn, STRANGER, True))
    effects = core.handle(0.0, Opened(5, STRANGER, True))
    assert Close(5) in effects
    assert len(emitted(effects, "malformed")) == 1
    core.handle(0.0, Closed(1, "eof"))
    assert Close(7) not in core.handle(0.0, Opened(7, STRANGER, True))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [(TrackerOptions, {"interval_s": 0}), (TrackerOptions, {"max_swarms": -1}), (ClientOptions, {"transport": "tcp"}),
     (ClientOptions, {"retry_s": 0})],
)  # fmt: skip
def test_options_that_make_no_sense(options, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        options(**wrong)
