"""`harness run` under bad luck: what is wrong is said in one line, with what to do, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.records import read_json, read_lines
from tests.emulation.command_line import ROOT, Command, run_dirs, spec, the_run

pytestmark = [pytest.mark.emulation, pytest.mark.usefixtures("run_inside")]
NOBODY = 65534
NTH_PORT = "overlays: {dht: {protocol: dht, peers: all, port: 7}}\n"


def ended(folder: Path, *arguments: str | Path, prefix: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Status, output and error of a command that leaves nothing behind."""
    with Command(folder, *arguments, prefix=prefix) as command:
        found = command.finish()
        assert command.left_behind(set()) == []
        return found


def test_a_port_in_use(tmp_path: Path) -> None:
    """Port 7 (UDP) of every host is the prober's: the peers end at their start."""
    path = spec(tmp_path)
    text = path.read_text().partition("overlays:")
    path.write_text(text[0] + NTH_PORT + "items: 2\nworkload:\n  - {publish: {copies: 1}, at: 0 s}\n")
    status, _, problem = ended(tmp_path, "run", path, "--progress", "none")
    assert status == 3
    first, *rest = problem.splitlines()
    assert first.startswith("harness: peer dht-h")
    assert first.endswith(" ended with status 69 before it was ready")
    assert any("cannot listen on 10.0.0." in line and "Address already in use" in line for line in rest)
    assert rest[-1] == f"nothing could be measured; what there is stands in {the_run(tmp_path).path}"


def test_peers_that_do_not_get_ready(tmp_path: Path) -> None:
    status, _, problem = ended(tmp_path, "run", spec(tmp_path, more="ready_timeout: 1 ms\n"), "--progress", "none")
    assert status == 3
    assert problem.startswith("harness: not ready after 0.001 s: flooding-h1, ")
    assert "raise 'ready_timeout' or look at the logs" in problem
    assert read_json(the_run(tmp_path).manifest)["end"] == "failed"


def test_a_peer_that_dies_unasked_fails_the_run(tmp_path: Path) -> None:
    with Command(tmp_path, "run", spec(tmp_path, "4 s"), "--json") as command:
        command.reach("timeline", ticks=1)
        os.kill(command.process_named("flooding-h2"), signal.SIGKILL)
        said = list(command.reports())
        status = command.status()
    verdict = said[-1]["verdict"]
    assert status == (2 if verdict["verdict"] == "INVALID" else 1)  # so a busy machine may make it
    (failure,) = verdict["failures"]
    assert "flooding-h2" in failure
    exits = [event for event in read_lines(the_run(tmp_path).events) if event["event"] == "exit"]
    assert ("flooding-h2", -signal.SIGKILL) in [(event["peer"], event["status"]) for event in exits]


@pytest.fixture
def small_disk() -> tuple[str, ...]:
    """A command before ours: it has `small`, 64 KiB of memory as a disk, in mounts of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    script = (
        'mkdir -p small && mount -t tmpfs -o size=64k none small && "$@"; status=$?; cp -r small kept; exit $status'
    )
    return ("unshare", "--mount", "sh", "-c", script, "sh")


def test_a_full_disk(small_disk: tuple[str, ...], tmp_path: Path) -> None:
    arguments = ("run", spec(tmp_path), "--progress", "none", "--results-root", "small")
    status, _, problem = ended(tmp_path, *arguments, prefix=small_disk)
    assert status == 3
    assert "No space left on device" in problem
    assert "Traceback" not in problem
    (kept,) = [path for path in (tmp_path / "kept" / "tiny").iterdir() if not path.is_symlink()]
    assert any(event["event"] == "ready" for event in read_lines(kept / "events.jsonl"))


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """A command before ours: it makes us an ordinary user who owns tmp_path."""
    if os.geteuid() != 0:
        pytest.skip("we are an ordinary user already: every other test shows it")
    if not os.access(ROOT, os.X_OK) or any(not parent.stat().st_mode & 1 for parent in (ROOT, *ROOT.parents)):
        pytest.skip("an ordinary user cannot look into the project's directory")
    if any(not parent.stat().st_mode & 1 for parent in tmp_path.parents):
        for parent in (tmp_path.parent, tmp_path.parent.parent):
            parent.chmod(parent.stat().st_mode | 0o11)
    shutil.chown(tmp_path, NOBODY, NOBODY)
    user = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    yield ("setpriv", *user, "env", f"HOME={tmp_path}")
    shutil.chown(tmp_path, 0, 0)


def test_an_ordinary_user_needs_nobody(nobody: tuple[str, ...], tmp_path: Path) -> None:
    status, said, problem = ended(tmp_path, "run", spec(tmp_path), "--progress", "none", prefix=nobody)
    assert status in (0, 2), problem  # a busy machine may make the run INVALID: that is 2
    (run,) = run_dirs(tmp_path)
    assert read_json(run.manifest)["end"] == "finished"
    assert run.report.stat().st_uid == NOBODY
    assert said.endswith(f"report: {run.report}\n")
