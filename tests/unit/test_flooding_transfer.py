"""Files between servents: HTTP GET, the next provider on failure, Push for who cannot be reached. Times are by hand."""

from random import Random

import pytest
from servents import address, end_of, line, network, ring
from stream_net import StreamNet

from peers import content
from peers.core import Address, Close, Opened, Received, Setting, Started, Write, emitted
from peers.flooding import Options, Servent
from peers.store import MemoryStore, StoreError
from peers.wire.gnutella import PUSH, Descriptor, Push

SIZE = 50_000  # three pieces of 16 KiB and some


def fetch(net, who, op="1", item="x", size=SIZE, until=60.0):
    net.command(address(who), op, "download", item=item, size_bytes=size)
    net.run(until=until)
    return end_of(net, op)


def held(net, who, item="x", size=SIZE):
    return net.cores[address(who)].shelf.read(item, 0, size + 1)


@pytest.mark.parametrize("chunk", [0, 7])
def test_a_file_is_fetched_and_then_offered(chunk):
    net = network(line(4), chunk=chunk)
    net.command(address(3), "0", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert end["ok"], end
    assert (end["providers"], end["bytes"], end["hops"]) == ([str(address(3))], SIZE, 3)
    assert (end["sources"], end["pushes"], end["bad"]) == (1, 0, 0)
    assert held(net, 0) == content.read("x", 0, SIZE)
    assert [e.fields["have_bytes"] <= SIZE for e in net.of("progress", op="1")] == [True]
    net.kill(address(3))
    again = fetch(net, 1, op="2", until=120.0)
    assert (again["ok"], again["providers"]) == (True, [str(address(0))])


def test_a_name_with_strange_signs_is_fetched():
    item = "naïve % file?#&.txt"
    net = network(line(2))
    net.command(address(1), "0", "publish", item=item, size_bytes=10)
    assert fetch(net, 0, item=item, size=10)["ok"]


def test_what_is_there_needs_no_transfer():
    net = network(line(2))
    net.command(address(0), "0", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert (end["ok"], end["bytes"], end["hops"]) == (True, 0, 0)
    assert net.of("sent", kind="query") == []


@pytest.mark.parametrize("size", [None, 0, -1, True, "10", 1 << 32])
def test_what_is_no_size_is_refused(size):
    net = network(line(2))
    end = fetch(net, 0, size=size)
    assert not end["ok"]
    assert end["reason"].startswith("not a size")


def test_nobody_has_it():
    net = network(line(3), timeout_s=4.0)
    net.command(address(0), "1", "download", item="x", size_bytes=SIZE)
    net.run(until=60.0)
    (end,) = net.of("op_end", op="1")
    assert (end.t_s, end.fields["reason"], end.fields["bytes"]) == (7.0, "timeout", 0)


def test_a_file_of_another_size_is_not_taken():
    net = network(line(3), timeout_s=4.0)
    net.command(address(1), "0", "publish", item="x", size_bytes=SIZE + 1)
    net.command(address(2), "0b", "publish", item="x")
    net.command(address(0), "1", "download", item="x", size_bytes=SIZE)
    net.run(until=60.0)
    (end,) = net.of("op_end", op="1")
    assert (end.t_s, end.fields["ok"], end.fields["reason"]) == (7.0, False, "no provider had it")


def test_the_next_provider_goes_on_where_the_first_died():
    net = network([(0, 1), (0, 2)])
    for holder in (1, 2):
        net.command(address(holder), f"p{holder}", "publish", item="x", size_bytes=SIZE)
    net.command(address(0), "1", "download", item="x", size_bytes=SIZE)
    download = net.cores[address(0)].downloads.running["1"]
    while not download.have:
        net.run(until=net.now + 0.001)
    assert download.have < SIZE
    first = download.source.address
    net.kill(first)
    net.run(until=60.0)
    end = end_of(net, "1")
    assert (end["ok"], end["bytes"], end["sources"]) == (True, SIZE, 2)
    assert set(end["providers"]) == {str(address(1)), str(address(2))}
    assert held(net, 0) == content.read("x", 0, SIZE)


def test_a_provider_that_stands_still_is_given_up():
    net = network([(0, 1), (0, 2)], stall_s=5.0)
    for holder in (1, 2):
        net.command(address(holder), f"p{holder}", "publish", item="x", size_bytes=SIZE)
    net.command(address(0), "1", "download", item="x", size_bytes=SIZE)
    download = net.cores[address(0)].downloads.running["1"]
    while not download.have:
        net.run(until=net.now + 0.001)
    net.kill(download.source.address, silently=True)
    net.run(until=60.0)
    (end,) = net.of("op_end", op="1")
    assert end.fields["ok"]
    assert 5.0 < end.t_s - 3.0 < 5.2


class Liar(Servent):
    """Serves bytes that are not the item's."""

    def __init__(self, *args):
        super().__init__(*args)
        self.shelf.read = lambda item, offset, count: bytes(count)


def test_wrong_content_is_thrown_away_and_fetched_elsewhere():
    net = StreamNet()
    net.add(Servent(Setting(address(0), (), Random(0)), Options(ping_s=0)))
    net.add(Liar(Setting(address(1), (address(0),), Random(1)), Options(ping_s=0)))
    net.add(Servent(Setting(address(2), (address(1),), Random(2)), Options(ping_s=0)))
    net.run(until=3.0)
    for holder in (1, 2):
        net.command(address(holder), f"p{holder}", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert (end["ok"], end["bad"], end["bytes"]) == (True, 1, 2 * SIZE)
    assert end["providers"] == [str(address(2))]
    assert held(net, 0) == content.read("x", 0, SIZE)


def test_a_download_goes_on_with_what_is_on_disk():
    store = MemoryStore()
    store.write("x", 0, content.read("x", 0, 40_000))
    net = StreamNet()
    net.add(Servent(Setting(address(0), (), Random(0), store=store), Options(ping_s=0)))
    net.add(Servent(Setting(address(1), (address(0),), Random(1)), Options(ping_s=0)))
    net.run(until=3.0)
    net.command(address(1), "0", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert (end["ok"], end["bytes"]) == (True, SIZE - 40_000)


class FullStore(MemoryStore):
    def write(self, name, offset, data):
        raise StoreError("no room")


def test_a_full_disk_ends_it():
    net = StreamNet()
    net.add(Servent(Setting(address(0), (), Random(0), store=FullStore()), Options(ping_s=0)))
    net.add(Servent(Setting(address(1), (address(0),), Random(1)), Options(ping_s=0)))
    net.run(until=3.0)
    net.command(address(1), "0", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert (end["ok"], end["reason"]) == (False, "no room")


def test_too_many_downloads_are_turned_away():
    star = [(0, leaf) for leaf in range(1, 4)]
    net = network(star, uploads=1)
    net.command(address(0), "0", "publish", item="x", size_bytes=SIZE)
    for leaf in (1, 2, 3):
        net.command(address(leaf), str(leaf), "download", item="x", size_bytes=SIZE)
    net.run(until=60.0)
    assert sum(end_of(net, str(leaf))["ok"] for leaf in (1, 2, 3)) == 1
    assert len(net.of("sent", kind="refusal")) == 2


# ---- Push ----


def test_who_cannot_be_reached_is_pushed():
    # 2 dials 1 and nobody can dial 2; its answer says where it listens all the same
    net = network(line(3), different={2: {"reachable": False}})
    net.command(address(2), "0", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert (end["ok"], end["pushes"], end["providers"]) == (True, 1, [str(address(2))])
    assert [e.peer for e in net.of("sent", kind="push")] == [address(0), address(1)]
    assert [e.peer for e in net.of("sent", kind="giv")] == [address(2)]
    assert held(net, 0) == content.read("x", 0, SIZE)


def test_two_that_cannot_be_reached_cannot_meet():
    net = network([(1, 0), (1, 2)], different={0: {"reachable": False}, 2: {"reachable": False}}, timeout_s=4.0)
    net.cores[address(1)].wanted = ()
    net.command(address(2), "0", "publish", item="x", size_bytes=SIZE)
    end = fetch(net, 0)
    assert not end["ok"]
    assert end["pushes"] == 0


def test_a_push_for_what_is_not_there_brings_nobody():
    net = network(ring(4, 1))
    net.command(address(0), "0", "publish", item="x", size_bytes=SIZE)
    core = net.cores[address(0)]
    neighbour = core.greeted()[0]
    for index, calls in ((7, 0), (1, 1)):
        guid = bytes([index]) * 16
        push = Descriptor(guid, PUSH, 2, 0, Push(core.servent, index, address(9)).encode()).encode()
        core.handle(4.0, Received(neighbour.conn, push))
        assert len(core.uploads.pushing) == calls


# ---- one servent, asked by hand ----


def server(**options):
    core = Servent(Setting(address(0), (), Random(0)), Options(ping_s=0, **options))
    core.handle(0.0, Started())
    core.shelf.share("x", 100)
    return core


def ask(core, request, conn=1):
    core.handle(0.0, Opened(conn, Address("10.9.9.9", 40000), inbound=True))
    return core.handle(0.0, Received(conn, request))


@pytest.mark.parametrize(
    ("target", "range_", "status", "body"),
    [
        ("/get/1/x/", "", 200, content.read("x", 0, 100)),
        ("/get/1/x", "", 200, content.read("x", 0, 100)),
        ("/get/1/x/", "bytes=0-", 206, content.read("x", 0, 100)),
        ("/get/1/x/", "bytes=90-", 206, content.read("x", 90, 10)),
        ("/get/1/x/", "bytes=10-19", 206, content.read("x", 10, 10)),
        ("/get/1/x/", "bytes=10-1000", 206, content.read("x", 10, 90)),
        ("/get/1/x/", "bytes=100-", 416, b""),
        ("/get/2/x/", "", 404, b""),
        ("/get/1/y/", "", 404, b""),
        ("/get/1/../../etc/passwd", "", 404, b""),
        ("/", "", 404, b""),
    ],
)
def test_requests(target, range_, status, body):
    core = server()
    line_ = f"Range: {range_}\r\n" if range_ else ""
    effects = ask(core, f"GET {target} HTTP/1.1\r\nHost: x\r\n{line_}\r\n".encode())
    written = b"".join(e.data for e in effects if isinstance(e, Write))
    head, _, rest = written.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert rest == body
    assert f"Content-Length: {len(body)}".encode() in head


def test_what_is_no_request_is_closed():
    core = server()
    effects = ask(core, b"GET \r\n\r\n")
    assert Close(1) in effects
    assert emitted(effects, "malformed")
    assert not core.uploads.streams


def test_who_cannot_be_reached_takes_no_streams():
    assert server(reachable=False).handle(0.0, Opened(1, Address("10.9.9.9", 4), inbound=True)) == [Close(1)]


def test_a_giv_nobody_asked_for_is_closed():
    core = server()
    effects = ask(core, b"GIV 1:" + b"0" * 32 + b"/x\n")
    assert Close(1) not in effects
    assert Close(1) in core.handle(0.0, Received(1, b"\n"))
