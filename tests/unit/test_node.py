"""The shell as a process: console, ends and exit statuses, sockets."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from peer_process import DEADLINE_S, ROOT, PeerProcess


def test_two_servents_by_hand():
    with PeerProcess("flooding") as one, PeerProcess("flooding", "--bootstrap", one.address) as two:
        two.wait_for("ready")
        one.order("publish some thing")
        one.wait_for("op_end", verb="publish", ok=True)
        two.order('{"op": "17.flooding", "verb": "lookup", "item": "some thing"}')
        end = two.wait_for("op_end", op="17.flooding")
        assert end["ok"]
        assert end["providers"] == [one.address]
        assert end["hops"] == 1
        assert end["t_ns"] > two.wait_for("op_start", op="17.flooding")["t_ns"]


@pytest.mark.parametrize("way", ["verb", "json", "pipe", "SIGTERM", "SIGINT"])
def test_ways_to_stop(way):
    with PeerProcess("odd", "--role", "talker") as peer:
        peer.wait_for("ready")
        if way == "verb":
            peer.order("stop")
        elif way == "json":
            peer.order('{"verb": "stop"}')
        elif way == "pipe":
            peer.close_stdin()
        status, errors = peer.end(signal.Signals[way] if way.startswith("SIG") else None)
        assert (status, errors) == (0, "")
        assert [event["event"] for event in peer.events[-2:]] == ["goodbye", "stopped"]
        assert peer.events[-1]["reason"] == {"pipe": "standard input closed", "verb": "command", "json": "command"}.get(
            way, way
        )


def test_no_standard_input_is_no_order_to_stop():
    with PeerProcess("odd", "--role", "echo", stdin=subprocess.DEVNULL) as peer:
        peer.wait_for("ready")
        with socket.create_connection(peer.host_port) as client:
            client.sendall(b"alive")
            assert client.recv(100) == b"alive"


def test_commands_from_a_file(tmp_path):
    orders = tmp_path / "orders"
    orders.write_text("publish x\nlookup x")
    with orders.open() as file, PeerProcess("flooding", stdin=file) as peer:
        assert peer.wait_for("op_end", op="2")["ok"]
        assert peer.end(signal.SIGTERM)[0] == 0


def test_unknown_verbs_and_lines_that_are_no_commands():
    with PeerProcess("flooding") as peer:
        peer.order('{"op": "a", "verb": "fly", "item": "x"}')
        end = peer.wait_for("op_end", op="a")
        assert (end["ok"], end["reason"], end["item"]) == (False, "unknown verb", "x")
        for line in ("{", "[1]x", '{"op": 1}', '{"verb": 1}', "{" * 5000, "\x00"):
            peer.order(line)
        peer.order("dump")
        peer.wait_for("state")
        assert len([e for e in peer.events if e["event"] == "malformed"]) == 4  # two are words, though unknown ones


def test_a_core_that_fails_is_told_and_ends_the_peer():
    with PeerProcess("odd", "--role", "crasher") as peer:
        peer.order("lookup x")
        crash = peer.wait_for("crash")
        assert crash["error"] == "ZeroDivisionError: of all things"
        status, errors = peer.end()
        assert status == 70
        assert "Traceback" in errors
        assert "on_command" in errors


def test_a_core_that_ends_by_itself_says_goodbye():
    with PeerProcess("odd", "--role", "leaver") as peer:
        peer.order("lookup x")
        peer.wait_for("goodbye")
        assert peer.wait_for("stopped")["reason"] == "done"
        assert peer.process.wait(120) == 0


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use(kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with PeerProcess("odd", "--role", "echo", listen=where) as peer:
            status, errors = peer.end()
    assert status == 69
    assert errors == f"peers: cannot listen on {where}: Address already in use\n"


def test_an_address_that_is_not_ours():
    with PeerProcess("flooding", listen="192.0.2.1:6346") as peer:
        assert peer.end() == (
            69, "peers: cannot listen on 192.0.2.1:6346: Cannot assign requested address\n",
        )  # fmt: skip


def test_options_that_cannot_be():
    with PeerProcess("flooding", "--ttl", "0") as peer:
        assert peer.end() == (2, "peers: ttl 0 does not fit its byte: 1 to 255\n")


def test_events_wait_for_a_slow_reader_and_none_is_lost():
    with PeerProcess("odd", "--role", "talker") as peer:
        peer.order("lookup 20000")  # 20 MB of events, more than the pipe and the buffer hold
        peer.order("lookup 1")
        peer.close_stdin()
        assert peer.end()[0] == 0
        words = [event["number"] for event in peer.events if event["event"] == "word"]
        assert words == [*range(20000), 0]


def test_alarms_without_end_starve_nobody():
    with PeerProcess("odd", "--role", "hurried") as peer:
        peer.wait_for("hundred")
        peer.order("dump")
        assert peer.wait_for("state")["state"]["rounds"] >= 100
        assert peer.end(signal.SIGTERM)[0] == 0


def test_nobody_reads_any_more():
    with PeerProcess("odd", "--role", "talker") as peer:
        peer.wait_for("ready")
        peer.process.stdout.close()
        peer.order("lookup 1")
        assert peer.process.wait(DEADLINE_S) == 0


def test_the_same_seed_does_the_same():
    told = []
    for seed in ("5", "5", "6"):
        with PeerProcess("flooding") as one, PeerProcess("flooding", "--bootstrap", one.address, "--seed", seed) as two:
            two.wait_for("ready")
            two.order("lookup x")
            told.append(two.wait_for("op_start")["id"])
    assert told[0] == told[1] != told[2]


def test_python_m_peers():
    done = subprocess.run(
        [sys.executable, "-m", "peers", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert "flooding" in done.stdout
    assert "servent" in done.stdout


FORK = """
import os, sys
from peers.node import main
inputs, outputs = [os.pipe() for _ in range(2)], [os.pipe() for _ in range(2)]
pids = []
for (ir, iw), (o_r, ow) in zip(inputs, outputs):
    if not (pid := os.fork()):
        os.dup2(ir, 0), os.dup2(ow, 1)
        os.closerange(3, 100)
        os._exit(main(["flooding", "--role", "servent", "--listen", "127.0.0.1:0", "--seed", "1"]))
    pids.append(pid)
    os.close(ir), os.close(ow)
for (ir, iw), (o_r, ow), pid in zip(inputs, outputs, pids):
    os.write(iw, b'{"op": "1", "verb": "dump"}\\n')
    os.close(iw)
    text = b""
    while data := os.read(o_r, 65536):
        text += data
    os.write(1, text)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


def test_forked_from_a_warm_parent():
    done = subprocess.run(
        [sys.executable, "-c", FORK], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    lines = done.stdout.splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert events == ["listening", "ready", "state", "stopped"] * 2
    assert [line for line in lines if not line.startswith("{")] == ["0", "0"]


# ---- sockets ----


def receive_all(client):
    parts = []
    while data := client.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def test_udp_and_tcp_on_one_port():
    with PeerProcess("odd", "--role", "echo", "--size", "2") as peer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(DEADLINE_S)
            client.sendto(b"ab", peer.host_port)
            assert client.recvfrom(100) == (b"abab", peer.host_port)
        with socket.create_connection(peer.host_port, DEADLINE_S) as client:
            client.sendall(b"ab")
            assert client.recv(100) == b"abab"


def test_inbound_streams_are_odd_and_their_end_is_told():
    with PeerProcess("odd", "--role", "echo") as peer:
        for conn in (1, 3):
            with socket.create_connection(peer.host_port, DEADLINE_S):
                peer.wait_for("opened", conn=conn, inbound=True)
            assert peer.wait_for("closed", conn=conn)["reason"] == "eof"


def test_a_reset_is_told():
    with PeerProcess("odd", "--role", "echo") as peer:
        client = socket.create_connection(peer.host_port, DEADLINE_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
        peer.wait_for("opened", conn=1)
        client.close()
        assert peer.wait_for("closed", conn=1)["reason"] == "reset"


def test_what_was_written_before_a_close_arrives():
    # the client keeps sending what nobody will read: without lingering, a reset would destroy the answer
    with (
        PeerProcess("odd", "--role", "echo", "--size", "100000", "--close", "true") as peer,
        socket.create_connection(peer.host_port, DEADLINE_S) as client,
    ):
        client.sendall(b"abcdefghij")
        client.sendall(b"more and more")
        answer = receive_all(client)
        assert len(answer) in (10 * 100_000, 23 * 100_000)  # the second write may have come with the first


def test_half_closed_clients_get_their_answer():
    with (
        PeerProcess("odd", "--role", "echo", "--size", "300000") as peer,
        socket.create_connection(peer.host_port, DEADLINE_S) as client,
    ):
        client.sendall(b"0123456789")
        client.shutdown(socket.SHUT_WR)
        assert len(receive_all(client)) == 3_000_000


def test_one_that_does_not_read_is_cut_off():
    with (
        PeerProcess("odd", "--role", "echo", "--size", "10000000") as peer,
        socket.create_connection(peer.host_port, DEADLINE_S) as client,
    ):
        client.sendall(b"x" * 2)
        assert peer.wait_for("closed", conn=1)["reason"] == "error: the other side does not read"


def test_streams_beyond_the_limit_are_closed_and_counted():
    with PeerProcess("odd", "--role", "echo", "--max-streams", "1") as peer:
        with socket.create_connection(peer.host_port, DEADLINE_S):
            peer.wait_for("opened", conn=1)
            with socket.create_connection(peer.host_port, DEADLINE_S) as second:
                assert second.recv(1) == b""
        peer.wait_for("closed", conn=1)
        with socket.create_connection(peer.host_port, DEADLINE_S):
            peer.wait_for("opened", conn=3)
        peer.end(signal.SIGTERM)
        assert peer.events[-1]["refused_streams"] == 1


def test_dialling():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, so that nobody else gets the port, but not listening
        addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in (server, nobody)]
        with PeerProcess("odd", "--role", "dialler", *[part for a in addresses for part in ("--bootstrap", a)]) as peer:
            assert peer.wait_for("opened", conn=2) | {"t_ns": 0} == {
                "t_ns": 0, "event": "opened", "conn": 2, "remote": addresses[0], "inbound": False,
            }  # fmt: skip
            assert peer.wait_for("closed", conn=4)["reason"] == "refused"
            peer.end(signal.SIGTERM)
            assert not [e for e in peer.events if e.get("conn") == 6]  # closed by the core itself


def test_streams_leave_from_the_address_that_is_listened_on():
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        with PeerProcess("odd", "--role", "dialler", "--bootstrap", where, listen="127.0.0.7:0"):
            server.settimeout(DEADLINE_S)
            conn, source = server.accept()
            conn.close()
            assert source[0] == "127.0.0.7"


def test_datagrams_that_cannot_leave_are_counted():
    with PeerProcess("odd", "--role", "echo", "--size", "70000") as peer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", peer.host_port)  # the answer is longer than a datagram can be
        with socket.create_connection(peer.host_port, DEADLINE_S):
            peer.wait_for("opened")
        peer.end(signal.SIGTERM)
        assert peer.events[-1]["unsent_datagrams"] == 1


def test_file_descriptors_are_not_leaked():
    with PeerProcess("odd", "--role", "echo", "--close", "true") as peer:
        peer.wait_for("ready")
        descriptors = Path(f"/proc/{peer.process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        for number in range(40):
            with socket.create_connection(peer.host_port, DEADLINE_S) as client:
                client.sendall(b"x")
                assert receive_all(client) == b"x"
            peer.wait_for("opened", conn=2 * number + 1)
        with socket.create_connection(peer.host_port, DEADLINE_S):
            peer.wait_for("opened", conn=81)
            assert len(list(descriptors.iterdir())) <= before + 2
