"""Any program as a peer: how its lines become events, what files it finds, how a spec describes it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from specs import plan_of

from harness.errors import EmulationError, EnvironmentUnfit, SpecError
from harness.memory import MemoryEngine
from harness.plan.model import Plan
from harness.programs import check_programs
from harness.records import RunDir
from peers import content
from peers.bittorrent.metainfo import decode_torrent
from peers.program_files import info_hash, is_content, torrent, write_content
from peers.program_output import Output, Rules

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
name: programs
duration: 10 s
topology: {generator: star, hosts: 3}
items: {count: 2, size: 100 kB}
overlays:
  swarm:
    protocol: tracker
    peers:
      - {on: h1, role: tracker}
      - on: [h2, h3]
        role: client
        command:
          program: PROGRAM
          arguments: ["--at={host}:{port}", "--known={bootstrap}", "{info_hash:item1}", "{item}", 7]
          starts: with a download
          files: [{path: "{item}.torrent", torrent: "{item}", trackers: ["http://{bootstrap}/announce"]}]
workload:
  - {download: {by: h2}, at: 1 s}
"""


def planned(tmp_path: Path, text: str = SPEC, program: str = "sleep") -> Plan:
    plan: Plan = plan_of(tmp_path, text.replace("PROGRAM", program))
    return plan


# ---- the plan ----


def test_braces_are_filled_with_what_the_plan_knows(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    command = plan.peer["swarm-h2"].command
    assert command is not None
    expected = info_hash("item1", 100_000)
    assert command.program == ("sleep", "--at=10.0.0.2:6881", "--known=10.0.0.1:6969", expected, "{item}", "7")
    (file,) = command.files
    assert (file.kind, file.text, file.size_bytes, file.trackers) == (
        "torrent", "{item}", 100_000, ("http://10.0.0.1:6969/announce",),
    )  # fmt: skip
    assert plan.peer["swarm-h1"].command is None
    assert Plan.from_json(plan.to_json()) == plan


def test_it_is_asked_only_for_what_it_can_do(tmp_path: Path) -> None:
    (step,) = planned(tmp_path).timeline
    assert (step.target, step.verb, step.args["size_bytes"]) == ("swarm-h2", "download", 100_000)
    with pytest.raises(SpecError, match="none of these hosts runs a peer that can publish"):
        planned(tmp_path, SPEC.replace("download: {by: h2}", "publish: {by: h2}"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{host}", "{hots}", "there is no value {hots}; did you mean 'host'"),
        ('torrent: "{item}"', "torrent: item9", "there is no item 'item9'"),
        ("count: 2, size: 100 kB", "count: 2", "items have no size"),
        ("role: client", "role: client, options: {numwant: 3}", "takes no options"),
        ("files: [", "ready: {port: tcp}\n          files: [", "is always ready"),
        ("files: [", "events: [{match: '(', event: x}]\n          files: [", "is not a regular expression"),
        ("starts:", "verbs: [lokup]\n          #", "there is no verb 'lokup'"),
        ('"--known={bootstrap}"', '"--known={bootstrap_prot}"', "is told of no other"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SPEC.replace("role: client\n", "role: client\n        options: {numwant: 3}\n") if "numwant" in new else SPEC
    text = text if "numwant" in new else text.replace(old, new, 1)
    with pytest.raises(SpecError) as raised:
        planned(tmp_path, text)
    assert message in str(raised.value)


def test_a_missing_program_is_told_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_programs(planned(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *_args, **_named: None)
    with pytest.raises(EnvironmentUnfit, match="transmission-cli: apt-get install transmission-cli"):
        check_programs(planned(tmp_path, program="transmission-cli"))


def test_engine_memory_refuses_it(tmp_path: Path) -> None:
    engine = MemoryEngine(planned(tmp_path), RunDir(tmp_path))
    with pytest.raises(EmulationError, match="runs our own peers only"):
        engine.build(lambda _text: None)


def test_a_protocol_that_only_programs_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = "libp2p: {protocol: libp2p, peers: all, graph: {generator: ring}, options: {degree: 8, heartbeat: 2 s}}"
    text = f"name: l\nduration: 10 s\ntopology: {{generator: star, hosts: 3}}\noverlays:\n  {overlay}\n"
    text += "workload:\n  - {broadcast: {by: h2}, at: 1 s}\n"
    plan = planned(tmp_path, text)
    command = plan.peer["libp2p-h2"].command
    assert command is not None
    python, driver, *flags = command.program
    assert python == sys.executable
    assert Path(driver).is_file()
    known = [f"--bootstrap={address}" for address in plan.peer["libp2p-h2"].bootstrap]
    assert flags == ["--listen=10.0.0.2:4001", *known, "--degree=8", "--heartbeat-s=2.0"]
    assert [(step.target, step.verb) for step in plan.timeline] == [("libp2p-h2", "broadcast")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EnvironmentUnfit, match=r"the Python module libp2p: pip install 'p2p-harness\[libp2p\]'"):
        check_programs(plan)


# ---- files ----


def test_files_are_what_our_own_peers_would_make(tmp_path: Path) -> None:
    read = decode_torrent(torrent("item1", 300_000, ("http://a/announce", "udp://b")))
    assert (read.name, read.size, read.trackers) == ("item1", 300_000, ("http://a/announce", "udp://b"))
    assert read.info_hash.hex() == info_hash("item1", 300_000)
    first = content.read("item1", 0, 262_144)
    assert read.piece_hash(0) == hashlib.sha1(first).digest()
    path = tmp_path / "item1"
    write_content(path, "item1", 300_000)
    assert is_content(path, "item1", 300_000)
    assert not is_content(path, "item1", 299_999)
    assert not is_content(path, "item2", 300_000)
    with path.open("r+b") as file:
        file.seek(299_999)
        file.write(bytes([path.read_bytes()[-1] ^ 1]))
    assert not is_content(path, "item1", 300_000)


# ---- output ----


def test_lines_end_as_programs_end_them() -> None:
    read, write = os.pipe()
    output = Output(read)
    os.write(write, b"one\ntwo\r\nthree\r 50 %\r\xff")
    assert output.read() == ["one", "two", "three", " 50 %"]
    os.close(write)
    assert output.read() is None
    assert output.rest() == ["\ufffd"]
    os.close(read)


def test_patterns_make_events() -> None:
    rules = Rules([{"match": r"got (?P<bytes>\d+) from (?P<host>\S+)( in (?P<t>[\d.]+))?", "event": "progress",
                    "fields": {"op": "{op}", "who": "{host}:1", "fixed": 3}}], json_lines=False)  # fmt: skip
    assert list(rules.events("nothing", {})) == []
    ((t_ns, event, fields),) = rules.events("got 12 from h2", {"op": "4.x"})
    assert (t_ns, event) == (0, "progress")
    assert fields == {"bytes": 12, "host": "h2", "op": "4.x", "who": "h2:1", "fixed": 3}


@pytest.mark.parametrize("line", ["", "[1]", "{", '{"no": "event"}', '{"event": 5}', "[" * 100_000])
def test_lines_that_are_no_json_events_are_none(line: str) -> None:
    assert list(Rules([], json_lines=True).events(line, {})) == []


def test_json_events_keep_their_time() -> None:
    line = json.dumps({"event": "delivered", "t_ns": 5, "item": "x"})
    assert list(Rules([], json_lines=True).events(line, {})) == [(5, "delivered", {"item": "x"})]


# ---- the shell around it ----

NOTHING: dict[str, Any] = {
    "environment": {}, "files": [], "with_download": False, "ready": None, "json_lines": False, "rules": [],
    "verbs": [], "result": None, "stop_signal": "TERM", "needs": {},
}  # fmt: skip


def shell(directory: Path, **description: Any) -> subprocess.Popen[str]:
    code = "import json, sys; from peers import program; sys.exit(program.main(json.loads(sys.argv[1])))"
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps({**NOTHING, **description})], cwd=directory, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def told(process: subprocess.Popen[str], until: str) -> list[dict[str, Any]]:
    """Events up to the first of that name."""
    assert process.stdout is not None
    found: list[dict[str, Any]] = []
    while not found or found[-1]["event"] != until:
        line = process.stdout.readline()
        assert line, f"ended before {until}: {found}"
        found.append(json.loads(line))
    return found


def test_it_is_ready_when_its_output_says_so_and_stops_by_its_own_signal(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: (print('bye 7'), sys.exit(0)))\n"
        "print('up and running'); signal.pause()"
    )
    rules = [{"match": r"bye (?P<count>\d+)", "event": "parting", "fields": {}}]
    process = shell(tmp_path, program=[sys.executable, "-c", code], ready=["output", "running$"], rules=rules,
                    stop_signal="INT")  # fmt: skip
    assert [event["event"] for event in told(process, "ready")] == ["listening", "ready"]
    process.send_signal(signal.SIGTERM)
    rest = told(process, "stopped")
    assert [(event["event"], event.get("count")) for event in rest] == [("parting", 7), ("stopped", None)]
    out, log = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")
    assert log == "up and running\nbye 7\n"


def test_a_file_shows_readiness_and_the_exit_status_is_handed_on(tmp_path: Path) -> None:
    code = "import os, pathlib; pathlib.Path('there').touch(); input(); os._exit(9)"
    process = shell(tmp_path, program=[sys.executable, "-c", code], ready=["file", "{data}/there"], verbs=["dump"])
    told(process, "ready")
    assert process.stdin is not None
    process.stdin.write('{"op": "1", "verb": "dump"}\n')
    process.stdin.flush()
    assert told(process, "stopped")[-1]["reason"] == "it ended"
    process.communicate(timeout=120)
    assert process.returncode == 9


@pytest.mark.parametrize("right", [True, False])
def test_a_download_is_right_when_the_file_is(right: bool, tmp_path: Path) -> None:
    item, size = "item1", 70_000
    write_content(tmp_path / "source", item if right else "another", size)
    code = "import shutil, sys; shutil.copy('source', sys.argv[1])"
    process = shell(tmp_path, program=[sys.executable, "-c", code, "{data}/{item}"], with_download=True,
                    result="{data}/{item}")  # fmt: skip
    told(process, "ready")
    assert process.stdin is not None
    process.stdin.write(json.dumps({"op": "3.swarm", "verb": "download", "item": item, "size_bytes": size}) + "\n")
    process.stdin.write(json.dumps({"op": "4.swarm", "verb": "lookup", "item": item}) + "\n")
    process.stdin.flush()
    ends = {}
    while len(ends) < 2:
        end = told(process, "op_end")[-1]
        ends[end["op"]] = end
    assert (ends["3.swarm"]["ok"], ends["3.swarm"].get("reason")) == (
        (True, None) if right else (False, "wrong content")
    )
    assert ends["4.swarm"]["reason"] == "unknown verb"
    process.stdin.close()
    assert process.wait(120) == 0
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.close()  # type: ignore[union-attr]


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    process = shell(tmp_path, program=["/nonexistent/program"])
    _out, log = process.communicate(timeout=120)
    assert process.returncode == 127
    assert "cannot run /nonexistent/program" in log


def test_it_dies_with_its_shell(tmp_path: Path) -> None:
    code = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(1000)"
    rules = [{"match": r"pid (?P<pid>\d+)", "event": "born", "fields": {}}]
    process = shell(tmp_path, program=[sys.executable, "-c", code], rules=rules)
    born = told(process, "born")[-1]["pid"]
    ended = os.pidfd_open(born)
    process.kill()
    process.communicate(timeout=120)
    assert select.select([ended], [], [], 120)[0]
    os.close(ended)
