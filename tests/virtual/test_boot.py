"""A command in virtual time: what it gets, what comes back, what it cannot touch."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import EnvironmentUnfit
from harness.virtual import boot, kernel

pytestmark = pytest.mark.virtual
PROJECT = Path(__file__).parents[2]
NOBODY = 65534


def test_exit_status_and_output_come_back(in_guest):
    outcome = in_guest("echo one; echo two >&2; exit 7")
    assert outcome.result.reason == "exited"
    assert outcome.result.exit_status == 7
    assert outcome.lines == ["one", "two"]


def test_death_by_a_signal_is_128_and_its_number(in_guest):
    assert in_guest("kill -TERM $$").result.exit_status == 143


def test_idle_time_is_skipped(in_guest):
    """Wall time is bounded by the fixture's limit, a twentieth of what the command sleeps."""
    outcome = in_guest("sleep 3600")
    assert outcome.result.exit_status == 0
    assert outcome.result.virtual_s == pytest.approx(3600, abs=0.1)


def test_clock_starts_at_the_given_second(in_guest):
    outcome = in_guest("date -u +%s", epoch_s=1_700_000_000)
    assert int(outcome.lines[0]) == 1_700_000_000


def test_sleeps_are_exact_to_some_microseconds(in_guest):
    code = "import time; a = time.monotonic_ns(); time.sleep(0.025); print(time.monotonic_ns() - a)"
    (slept_ns,) = in_guest(f"python3 -c '{code}'").lines
    assert 25_000_000 <= int(slept_ns) < 25_005_000


def test_memory_is_what_programs_expect(in_guest):
    """Our kernel takes some faults for writes without asking: see told-fault.patch."""
    program = Path(__file__).with_name("memory_program.py")
    natively = subprocess.run(["python3", program], capture_output=True, text=True, check=True).stdout.splitlines()
    assert natively[-1].startswith("files_change")
    outcome = in_guest(f"python3 '{program}'")
    assert (outcome.result.exit_status, outcome.lines) == (0, natively)


def test_environment_and_folder(in_guest, tmp_path):
    outcome = in_guest('echo "$A|$HOME|$(pwd)"', environment={"A": "it's a value"}, folder=tmp_path)
    assert outcome.lines == [f"it's a value|/root|{tmp_path}"]


def test_only_writable_directories_change(in_guest, tmp_path):
    given = tmp_path / "given with a space"
    given.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    script = f"""
        echo kept > '{given}/file' && echo gone > /etc/harness-was-here
        echo gone > '{other}/file' && cat '{other}/file'
    """
    assert in_guest(script, writable=[given]).lines == ["gone"]
    assert (given / "file").read_text() == "kept\n"
    assert list(other.iterdir()) == []
    assert not Path("/etc/harness-was-here").exists()


def test_guest_root_that_mounts_hostfs_cannot_write_the_machine(in_guest, tmp_path):
    """It mounts the host's file system anew and tries /etc, the home directory, the project and a file's mode."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o644)
    home = Path.home()
    targets = ["/etc", str(home), str(PROJECT), str(tmp_path), "/tmp", "/dev/shm"]
    script = f"""
        mkdir /host && mount -t hostfs none /host || exit 9
        for directory in {" ".join(targets)}; do
          touch "/host/root$directory/harness-was-here" 2>/dev/null && echo "wrote $directory"
        done
        chmod 600 /host/root{victim} 2>/dev/null && echo "changed a mode"
        rm /host/root{victim} 2>/dev/null && echo "removed a file"
        mount -o remount,rw /host; touch /host/root/etc/harness-was-here 2>/dev/null && echo "wrote after a remount"
        exit 0
    """
    outcome = in_guest(script)
    assert outcome.result.exit_status == 0
    assert outcome.lines == []
    assert victim.read_text() == "mine"
    assert victim.stat().st_mode & 0o777 == 0o644
    assert not any((Path(target) / "harness-was-here").exists() for target in targets)


def test_guest_has_no_network_of_the_host(in_guest):
    assert in_guest("ls /sys/class/net").lines == ["lo"]


def test_two_runs_draw_the_same_random_numbers(in_guest):
    """Bytes from the kernel, Python's hash seed, a port and the address layout; another seed changes them."""
    code = (
        "import os, random, socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); "
        "print(os.urandom(16).hex(), hash('peer'), random.random(), s.getsockname()[1], id(s), os.getpid())"
    )
    first, again, other = (in_guest(f'python3 -c "{code}"', seed=seed).lines for seed in (5, 5, 6))
    assert first == again
    assert first[0].split()[0] != other[0].split()[0]


def test_lines_arrive_while_the_command_runs(in_guest, tmp_path):
    """The host makes the file for which the command waits only when it has seen the first line."""

    def answer(line: str) -> None:
        seen.append(line)
        if line == "waiting":
            (tmp_path / "go").touch()

    seen: list[str] = []
    # ls reads the directory anew; a lookup of the name would find the kernel's memory of its absence
    script = f"echo waiting; until ls {tmp_path} | grep -q go; do sleep 1; done; echo went"
    outcome = in_guest(script, writable=[tmp_path], on_line=answer)
    assert outcome.result.exit_status == 0
    assert seen == ["waiting", "went"]


def test_interrupt_is_handed_on(in_guest):
    """KeyboardInterrupt on the host becomes SIGINT in the guest, and the command may end in its own way."""

    def interrupt(line: str) -> None:
        if line == "up":
            raise KeyboardInterrupt

    script = """exec python3 -c '
import time
print("up", flush=True)
try:
    while True:
        time.sleep(0.001)
except KeyboardInterrupt:
    raise SystemExit(9)
'"""
    result = in_guest(script, on_line=interrupt).result
    assert (result.reason, result.exit_status) == ("exited", 9)


def test_nothing_is_left_when_the_starter_is_killed(built_kernel, tmp_path):
    """kill -9 of the process that called run: the kernel's processes go too."""
    code = (
        "import sys, pathlib; from harness.virtual.boot import run\n"
        f"run(['sh', '-c', 'echo up; while :; do sleep 1; done'], console=pathlib.Path({str(tmp_path / 'c')!r}), "
        "memory='256M', on_line=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=PROJECT) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        (jail,) = children(starter.pid)
        (init,) = children(jail)
        (linux,) = children(init)
        watch = [os.pidfd_open(pid) for pid in (jail, init, linux)]
        starter.kill()
        starter.wait()
    for descriptor in watch:
        assert select_readable(descriptor, 20.0)
        os.close(descriptor)


def children(pid: int) -> list[int]:
    """Direct children, by the parent's number in /proc/*/stat (field 4, after the name in parentheses)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def select_readable(descriptor: int, timeout_s: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout_s)[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="all other tests here already run as an ordinary user")
def test_an_ordinary_user_can(built_kernel, tmp_path_factory):
    """As nobody, in a user namespace: everything works, and writes reach only what was given."""
    home = Path(
        shutil.copytree(kernel.cache_directory(), tmp_path_factory.getbasetemp() / "nobody" / "p2p-harness")
    ).parent
    package = Path(shutil.copytree(PROJECT / "harness", home / "code" / "harness")).parent
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for path in (home, *home.parents):  # pytest's own directories are closed to others
        if path.is_relative_to(tmp_path_factory.getbasetemp().parent):
            path.chmod(0o755)
    script = f"""
        id -u; echo kept > {home}/file; echo x > /etc/harness-was-here && cat /etc/harness-was-here
        ip link add type veth; sleep 50
    """
    done = subprocess.run(  # the last line of its output tells how it went
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", RUN_AS_USER, script],
        capture_output=True, text=True, cwd=home, timeout=120, check=False,
        env={"XDG_CACHE_HOME": str(home), "PYTHONPATH": str(package), "HOME": str(home), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["0", "x", "exited 0 50"], done.stderr
    assert (home / "file").read_text() == "kept\n"
    assert not Path("/etc/harness-was-here").exists()


RUN_AS_USER = """
import sys; from pathlib import Path; from harness.virtual.boot import run
here = Path.cwd()
command, console = ["sh", "-c", sys.argv[1]], here / "console.log"
result = run(command, [here], console=console, memory="256M", on_line=print, wall_limit_s=100)
print(result.reason, result.exit_status, round(result.virtual_s))
"""


def test_directory_that_is_not_there_is_named(built_kernel, tmp_path):
    with pytest.raises(EnvironmentUnfit, match="absent is not a directory"):
        boot.run(["true"], [tmp_path / "absent"], console=tmp_path / "c")


def test_command_that_is_not_there(in_guest):
    assert in_guest("exec no-such-program").result.exit_status == 127
