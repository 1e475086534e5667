"""Make the kernel of virtual time from the distribution's source package."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import EnvironmentUnfit, HarnessError
from harness.virtual import kernel
from harness.virtual.source import Source, need_source
from harness.virtual.watch import symbols

# Program -> the Debian and Ubuntu package that has it.
TOOLS = {
    "make": "make",
    "gcc": "gcc",
    "ld": "binutils",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "patch": "patch",
    "tar": "tar",
}
UNPACKERS = {".xz": ("xz", "xz-utils"), ".bz2": ("bzip2", "bzip2"), ".gz": ("gzip", "gzip")}
NEEDED_BYTES = 1_500_000_000  # unpacked source and objects
# Most of the source is for machines that this kernel never sees. Kconfig files are kept: all of them are read.
OTHER_PROCESSORS = (
    "alpha", "arc", "arm", "arm64", "csky", "hexagon", "loongarch", "m68k", "microblaze", "mips", "nios2", "openrisc",
    "parisc", "powerpc", "riscv", "s390", "sh", "sparc", "xtensa",
)  # fmt: skip
LEFT_OUT = (
    *(f"*/arch/{name}/*.[chS]" for name in OTHER_PROCESSORS),
    "*/arch/*/boot/dts",
    "*/tools/testing",
    "*/tools/perf",
    "*/drivers/gpu/*.[ch]",
    "*/sound/*.[ch]",
    "*/Documentation/*.[rty]*",
)
COMPILED = re.compile(r"^\s+(?:CC|AS|LD|AR)\s")
STEP = 100  # compiled files between two lines of progress
ABOUT = 1150  # files that are compiled in all, to say how far it is

Progress = Callable[[str], None]


def build_kernel(progress: Progress, force: bool = False) -> Path:
    """Unpack, patch, configure, compile, check, publish. See `kernel.build`."""
    source = need_source()
    _check_tools(source)
    cache = kernel.cache_directory() / "kernels"
    _make_directory(cache)
    with _lock(cache / "build.lock", progress):
        target = kernel.directory(source)
        found = kernel.status()
        if found.kernel is not None and not force:  # another process built it while we waited
            return found.kernel.path
        with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as scratch:
            _check_space(Path(scratch))
            began = time.monotonic()
            built = _compile(source, Path(scratch), progress)
            _publish(built, source, target)
        progress(f"built in {time.monotonic() - began:.0f} s")
    return target / "linux"


def _check_tools(source: Source) -> None:
    unpacker, unpacker_package = UNPACKERS[source.path.suffix]
    tools = {**TOOLS, unpacker: unpacker_package}
    missing = {package for program, package in tools.items() if shutil.which(program) is None}
    if "gcc" not in missing and not _has_static_libc():
        missing.add("libc6-dev")
    if missing:
        names = " ".join(sorted(missing))
        raise EnvironmentUnfit(f"building the kernel needs programs that are missing: apt-get install {names}")


def _has_static_libc() -> bool:
    answer = subprocess.run(["gcc", "-print-file-name=libc.a"], capture_output=True, text=True, check=True)
    return Path(answer.stdout.strip()).is_absolute()


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentUnfit(
            f"{path} cannot be made ({error.strerror}); set XDG_CACHE_HOME to a writable place"
        ) from error


def _check_space(scratch: Path) -> None:
    free = shutil.disk_usage(scratch).free
    if free < NEEDED_BYTES:
        raise EnvironmentUnfit(
            f"building needs {NEEDED_BYTES / 1e9:.1f} GB in {scratch.parent}, which has {free / 1e9:.1f} GB left; "
            "free some or set XDG_CACHE_HOME to another place"
        )


@contextlib.contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another build is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(source: Source, scratch: Path, progress: Progress) -> Path:
    """Returns the tree with `linux` in it."""
    log = scratch / "build.log"
    progress(f"unpacking {source.path}")
    _call(
        ["tar", "-x", "-f", str(source.path), "-C", str(scratch), *(f"--exclude={name}" for name in LEFT_OUT)],
        scratch,
        log,
    )
    (tree,) = (path for path in scratch.iterdir() if path.is_dir())
    for patch in kernel.patches():
        progress(f"applying {patch.name}")
        _call(["patch", "-p1", "--forward", "--batch", "-i", str(patch)], tree, log)
    progress("configuring")
    _call(["make", "ARCH=um", "tinyconfig"], tree, log)
    _call(["scripts/kconfig/merge_config.sh", "-m", ".config", str(kernel.CONFIG)], tree, log)
    _call(["make", "ARCH=um", "olddefconfig"], tree, log)
    check_config((tree / ".config").read_text())
    jobs = len(os.sched_getaffinity(0))
    progress(f"compiling on {jobs} processors")
    _call(["make", "ARCH=um", f"-j{jobs}"], tree, log, progress)
    return tree


def check_config(configured: str) -> None:
    """Raises HarnessError naming the options that our fragment asks for and this source does not know."""
    have = set(configured.splitlines())
    asked = [line for line in kernel.CONFIG.read_text().splitlines() if line.startswith("CONFIG_")]
    refused = [line for line in asked if line.endswith("=y") and line not in have]
    if refused:
        raise HarnessError(f"this kernel source does not accept {', '.join(refused)}; try another linux-source package")


def _call(command: list[str], folder: Path, log: Path, progress: Progress | None = None) -> None:
    """Run one step with its output in the log; a step that fails shows the end of it."""
    environment = {**os.environ, "LC_ALL": "C", "ARCH": "um"}  # C: we read the output
    environment.pop("MAKEFLAGS", None)  # we may ourselves be a step of `make virtual`
    compiled, began = 0, time.monotonic()
    with (
        log.open("a") as file,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            compiled += COMPILED.match(line) is not None
            if progress is not None and compiled and compiled % STEP == 0 and COMPILED.match(line):
                share = min(99, 100 * compiled // ABOUT)
                progress(f"compiling: about {share} % after {time.monotonic() - began:.0f} s")
    if process.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise HarnessError(
            f"building the kernel failed in `{' '.join(command[:4])} ...`; the end of its output:\n{end}"
        )


def _publish(tree: Path, source: Source, target: Path) -> None:
    """Put program and manifest in place at one stroke."""
    release = subprocess.run([tree / "linux", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    new = tree.parent / "finished"
    new.mkdir()
    shutil.copy(tree / "linux", new / "linux")
    manifest = {
        "release": release,
        "source": source.name,
        "recipe": kernel.recipe(),
        "sha256": hashlib.sha256((new / "linux").read_bytes()).hexdigest(),
        "symbols": symbols(tree / "linux"),
    }
    (new / "kernel.json").write_text(json.dumps(manifest, indent=1) + "\n")
    if target.exists():
        target.rename(tree.parent / "replaced")
    new.rename(target)
