"""The shell's parts as plain objects: alarms, lines, command line, registry."""

import os

import pytest
from odd_cores import Echo
from odd_cores import Odd as OddCore

from peers import options
from peers.console import CommandReader, EventWriter, parse_line
from peers.core import Address, Command
from peers.flooding import Servent
from peers.registry import PROTOCOLS, load, roles
from peers.sockets import bind, stream_limit
from peers.timers import Timers

# ---- alarms ----


def due(timers, now):
    found = []
    while (name := timers.pop_due(now)) is not None:
        found.append(name)
    return found


def test_alarms_come_in_order_and_once():
    timers = Timers()
    for name, at in (("b", 2.0), ("a", 1.0), ("c", 2.0), ("d", 3.0)):
        timers.set(name, at)
    assert timers.next() == 1.0
    assert due(timers, 2.0) == ["a", "b", "c"]
    assert timers.next() == 3.0
    assert len(timers) == 1


def test_setting_again_replaces():
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("a", 5.0)
    assert due(timers, 4.0) == []
    timers.set("a", 4.5)
    assert due(timers, 10.0) == ["a"]


def test_cancelled_alarms_do_not_come():
    timers = Timers()
    timers.set("a", 1.0)
    timers.cancel("a")
    timers.cancel("never set")
    assert timers.next() is None
    assert due(timers, 10.0) == []


def test_an_alarm_moved_all_the_time_takes_no_room():
    timers = Timers()
    for moment in range(10_000):
        timers.set("a", float(moment))
    assert len(timers._heap) <= 2 * 1 + 64
    assert timers.next() == 9999.0


# ---- commands ----


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('{"op": "7", "verb": "lookup", "item": "x"}', Command("7", "lookup", {"item": "x"})),
        ('{"op": 7, "verb": "dump"}', Command("7", "dump", {})),
        ('{"verb": "dump"}', Command("3", "dump", {})),
        ("lookup x", Command("3", "lookup", {"item": "x"})),
        ("  lookup   two words ", Command("3", "lookup", {"item": "two words"})),
        ("find_node id=ab12 k=3", Command("3", "find_node", {"id": "ab12", "k": "3"})),
        ("lookup a=b c", Command("3", "lookup", {"item": "a=b c"})),
        ("dump", Command("3", "dump", {})),
    ],
)
def test_commands(line, command):
    assert parse_line(line, 3) == command


@pytest.mark.parametrize("line", ["{", '{"op": "1"}', '{"verb": 1}', '{"op": [], "verb": "x"}', '{"a": 1} x'])
def test_lines_that_are_no_commands(line):
    with pytest.raises(ValueError):
        parse_line(line, 1)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            continue  # the test closed it


def test_commands_come_in_pieces(pipe):
    reader = CommandReader(pipe[0])
    os.write(pipe[1], b"lookup x\nlook")
    assert reader.read() == ([Command("1", "lookup", {"item": "x"})], [])
    os.write(pipe[1], b"up y")
    assert reader.read() == ([], [])
    os.close(pipe[1])
    assert reader.read() == ([Command("2", "lookup", {"item": "y"})], [])
    assert reader.ended
    assert not reader.lost


def test_a_line_without_end_is_given_up(pipe):
    reader = CommandReader(pipe[0])
    wrong = []
    while not wrong:
        os.write(pipe[1], b"x" * 60_000)
        commands, wrong = reader.read()
        assert commands == []
    assert wrong == ["line 1: longer than 1048576 bytes"]
    assert len(reader._rest) == 0


def test_events_are_lines_of_json(pipe):
    events = EventWriter(pipe[1])
    events.add(5, "ready", {"name": "é\ud800"})
    events.add(6, "stopped", {})
    events.flush()
    assert os.read(pipe[0], 1000) == (
        b'{"t_ns":5,"event":"ready","name":"\\u00e9\\ud800"}\n{"t_ns":6,"event":"stopped"}\n'
    )


def test_the_descriptor_is_given_back_as_it_was(pipe):
    events = EventWriter(pipe[1])
    assert not os.get_blocking(pipe[1])
    events.close(1.0)
    assert os.get_blocking(pipe[1])


# ---- command line ----


def test_arguments_of_a_plan():
    argv = "--role servent --listen 10.0.0.3:6346 --bootstrap 10.0.0.1:6346 --bootstrap 10.0.0.2:6347 --seed 5"
    given = options.parse(["flooding", *argv.split(), "--no-trace", "--ttl", "4", "--gather-s", "1.5"])
    assert given.core is Servent
    assert given.listen == Address("10.0.0.3", 6346)
    assert given.bootstrap == (Address("10.0.0.1", 6346), Address("10.0.0.2", 6347))
    assert (given.seed, given.trace) == (5, False)
    assert given.options == Servent.Options(ttl=4, gather_s=1.5)


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "odd", {"echo": "odd_cores:Echo", "crasher": "odd_cores:Crasher"})


def test_defaults(odd):
    given = options.parse(["odd"])
    assert given.core is Echo
    assert given.listen == Address("127.0.0.1", 9999)
    assert (given.bootstrap, given.trace, given.options) == ((), True, Echo.Options())
    assert given.seed != options.parse(["odd"]).seed


def test_true_and_false(odd):
    assert options.parse(["odd", "--close", "true"]).options.close is True
    assert options.parse(["odd", "--close", "false"]).options.close is False


def test_help_names_every_option_of_every_role(odd, capsys):
    with pytest.raises(SystemExit) as end:
        options.parse(["odd", "--role", "crasher", "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Fails at the verb lookup." in text
    for part in ("--listen", "options of role echo", "--size INT", "100 % of them (default: 1)", "(default: false)"):
        assert part in text


def test_overview(odd, capsys):
    for argv, code in ([], 2), (["--help"], 0):
        with pytest.raises(SystemExit) as end:
            options.parse(argv)
        assert end.value.code == code
        assert "Says everything back." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["floding"], "there is no protocol 'floding'"),
        (["odd", "--role", "hero"], "invalid choice: 'hero'"),
        (["odd", "--listen", "10.0.0.1"], "is not ADDRESS:PORT"),
        (["odd", "--listen", "host:1"], "'host' is not an IP address"),
        (["odd", "--bootstrap", "10.0.0.1:0"], "is not ADDRESS:PORT"),
        (["odd", "--size", "many"], "invalid int value: 'many'"),
        (["odd", "--close", "yes"], "'yes' is neither true nor false"),
        (["odd", "--max-streams", "0"], "not a whole number above zero"),
        (["odd", "--siz", "3"], "unrecognized arguments: --siz 3"),
    ],
)
def test_mistakes(odd, capsys, argv, message):
    with pytest.raises(SystemExit) as end:
        options.parse(argv)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


# ---- registry and sockets ----


@pytest.mark.parametrize(("protocol", "role"), [(p, r) for p, own in PROTOCOLS.items() for r in own])
def test_every_registered_core_is_what_it_is_registered_as(protocol, role):
    core = load(protocol, role)
    assert (core.protocol, core.role) == (protocol, role)
    assert role in roles(protocol)
    assert core.transports <= {"udp", "tcp"}
    assert core.Options() is not None


def test_one_port_for_both_transports():
    sockets, address = bind(Address("127.0.0.1", 0), OddCore.transports)
    try:
        assert {sock.getsockname() for sock in sockets.values()} == {tuple(address)}
    finally:
        for sock in sockets.values():
            sock.close()


def test_descriptors_suffice():
    assert stream_limit(10) == 10
