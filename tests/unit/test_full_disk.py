"""A disk that is full for a while: writes fail, the peer goes on, and what comes after is whole."""

import subprocess
import sys

import pytest
from specs import plan_of

from harness.emulation import full_disk
from harness.memory import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct
from peers.store import MemoryStore, StoreError

WRITER = """
import sys
from peers.store import FileStore, StoreError
store = FileStore(sys.argv[1])
for line in sys.stdin:
    try:
        store.write("x", 0, b"abc")
        print("written", store.read("x", 0, 3).decode(), flush=True)
    except StoreError as error:
        print(error, flush=True)
"""
WEB = """\
name: full
duration: 20 s
topology: {generator: star, hosts: 2}
links: {access: {delay: 5 ms, rate: 10 Mbit/s}}
overlays:
  web: {protocol: client_server, peers: [{role: server, on: h1}, {role: client, on: h2}]}
items: {count: 3, size: 10 kB}
workload:
  - {publish: {copies: 1, by: h1}, at: 0 s}
  - {download: {by: h2, each: true}, from: 2 s, to: 17 s}
faults:
  - {disk_full: web-h2, from: 5 s, to: 10 s}
"""


def test_the_kernel_refuses_writes_until_there_is_space_again(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:

        def attempt():
            writer.stdin.write("\n")
            writer.stdin.flush()
            return writer.stdout.readline().strip()

        assert attempt() == "written abc"
        full_disk.fill(writer.pid, full=True)
        assert full_disk.is_full(writer.pid)
        assert attempt() == "cannot write 'x': File too large"
        full_disk.fill(writer.pid, full=False)
        assert not full_disk.is_full(writer.pid)
        assert attempt() == "written abc"
        writer.stdin.close()


def test_a_store_in_memory_that_is_full():
    store = MemoryStore()
    store.write("x", 0, b"abc")
    store.full = True
    with pytest.raises(StoreError, match="the disk is full"):
        store.write("x", 0, b"d")
    with pytest.raises(StoreError, match="the disk is full"):
        store.share("y", 10)
    assert store.read("x", 0, 3) == b"abc"
    store.remove("x")
    store.full = False
    store.write("x", 0, b"d")


def test_downloads_fail_while_the_disk_is_full_and_only_then(tmp_path):
    plan = plan_of(tmp_path, WEB)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    ends = [row for row in read_lines(run_dir.events) if row["event"] == "op_end" and row["peer"] == "web-h2"]
    assert [row["ok"] for row in ends] == [True, False, True]
    assert "the disk is full" in ends[1]["reason"]
    rows = read_lines(run_dir.faults)
    assert [(row["phase"], row["ok"], row["applied_s"]) for row in rows] == [("apply", True, 5.0), ("undo", True, 10.0)]
