"""Run a command in virtual time, on this machine's own files.

    result = run(["python3", "-m", "peers", "..."], writable=[run_dir], console=run_dir / "console.log")

The command sees the machine's file system, may write anywhere, and changes nothing of it but the writable directories:
the rest of what it writes is gone with the guest. It is root there, its processes are ordinary processes of an ordinary
Linux, and it can build any network; it cannot reach ours. Everything that is random in the guest follows from `seed`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from harness.errors import EnvironmentUnfit
from harness.virtual.guest import HEAD_START_S, BootResult, Guest, Limits
from harness.virtual.kernel import find
from harness.virtual.processor import reserved_processor

HERE = Path(__file__).parent
EPOCH_S = 1_800_000_000  # 15 January 2027: what the guest's clock shows when the command starts
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FSTAB = """\
overlay /mem/root overlay nosuid,lowerdir=/root,upperdir=/mem/upper,workdir=/mem/work 0 0
none /mem/root/proc proc defaults 0 0
none /mem/root/sys sysfs defaults 0 0
none /mem/root/sys/fs/cgroup cgroup2 defaults 0 0
none /mem/root/dev devtmpfs defaults 0 0
none /mem/root/dev/pts devpts mode=620,ptmxmode=666,X-mount.mkdir 0 0
none /mem/root/dev/shm tmpfs mode=1777,X-mount.mkdir 0 0
none /mem/root/run tmpfs mode=755 0 0
/control /mem/root/run/control none bind,X-mount.mkdir 0 0
"""

OnLine = Callable[[str], None]
OnProgress = Callable[[float, float], None]


def run(
    command: Sequence[str],
    writable: Sequence[Path] = (),
    *,
    console: Path,
    memory: str = "4G",
    cpu: int | None = None,
    seed: int = 0,
    epoch_s: int = EPOCH_S,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: OnLine | None = None,
    on_progress: OnProgress | None = None,
    stall_limit_s: float = 120.0,
    wall_limit_s: float | None = None,
    virtual_limit_s: float | None = None,
) -> BootResult:
    """Boot, run `command` in `folder` (the current one by default), power off.

    `on_line` gets each line that the command writes to its standard output or error, as soon as it is there;
    `on_progress` gets virtual and wall seconds since the start, five times a second. Ctrl-C (KeyboardInterrupt) is
    handed to the command as SIGINT, a second one ends the guest.

    Raises EnvironmentUnfit when there is no kernel, not enough memory, or a directory that cannot be written.
    """
    kernel = find()
    memory_mib = parse_memory(memory)
    check_memory(memory_mib)
    places = [_writable_directory(path) for path in writable]
    with ExitStack() as stack:
        control = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="virtual-")))
        _write_control(control, command, places, environment or {}, folder or Path.cwd())
        pinned = stack.enter_context(reserved_processor(cpu))
        arguments = [
            f"mem={memory_mib}M", f"um_seed={seed}", f"head_start={HEAD_START_S}",
            "time-travel=inf-cpu", f"time-travel-start={epoch_s - HEAD_START_S}000000000",
            "rootfstype=hostfs", "rootflags=/", "rw", "init=/bin/sh", "con=null", "con0=null,fd:1", "quiet", "panic=-1",
            "dummy.numdummies=0", "ifb.numifbs=0", "uml_dir=/control/", "umid=kernel", "--", "/control/init",
        ]  # fmt: skip
        specification = {
            "kernel": str(kernel.path), "arguments": arguments, "writable": [str(place) for place in places],
            "memory_mib": memory_mib, "cpu": pinned,
        }  # fmt: skip
        guest = stack.enter_context(Guest(kernel, control, console, specification))
        limits = Limits(stall_limit_s, wall_limit_s, virtual_limit_s)
        return guest.attend(limits, on_line or _ignore, on_progress or _ignore)


def parse_memory(text: str) -> int:
    """MiB in a size such as "512M" or "4G"."""
    match = re.fullmatch(r"(\d+)([MG])(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise EnvironmentUnfit(f"memory {text!r} is no size; write 512M or 4G")
    size = int(match[1]) * (1024 if match[2].upper() == "G" else 1)
    if size < 128:
        raise EnvironmentUnfit(f"memory {text!r} is too little: the guest needs 128M at least")
    return size


def check_memory(memory_mib: int) -> None:
    """Raises EnvironmentUnfit when the machine, or the container we are in, has less than the guest may come to use."""
    available = [
        int(line.split()[1]) // 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable:")
    ]
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text().strip()) != "max":
        available.append((int(text) - int(used.read_text())) // 2**20)
    if available and min(available) < memory_mib:
        raise EnvironmentUnfit(
            f"the virtual machine may use {memory_mib} MiB and this machine has {min(available)} MiB left; "
            "give it less (--memory 1G is enough for some hundred peers) or free some"
        )


def _writable_directory(path: Path) -> Path:
    place = path.resolve()
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise EnvironmentUnfit(f"{path} is not a directory that you can write to")
    return place


def _write_control(
    control: Path, command: Sequence[str], places: list[Path], environment: Mapping[str, str], folder: Path
) -> None:
    """Fill the directory through which host and guest speak: mounts, command, and what comes back."""
    control.chmod(0o700)
    (control / "jail").mkdir()
    shutil.copy(HERE / "guest.sh", control / "init")
    binds = (f"/root{_escaped(place)} /mem/root{_escaped(place)} none bind,X-mount.mkdir 0 0\n" for place in places)
    (control / "fstab").write_text(FSTAB + "".join(binds))
    variables = {"PATH": PATH, "HOME": "/root", "SHELL": "/bin/sh", "LANG": "C.UTF-8", "TERM": "dumb", **environment}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    (control / "command").write_text(
        f"{exports}cd {shlex.quote(str(folder.resolve()))} || exit 126\nexec {shlex.join(command)}\n"
    )
    (control / "output").touch()


def _escaped(path: Path) -> str:
    """As fstab(5) wants it: white space and backslashes in octal."""
    return re.sub(r"[\s\\]", lambda found: f"\\{ord(found[0]):03o}", str(path))


def _ignore(*_: object) -> None:
    pass
