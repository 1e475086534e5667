"""The kernel of virtual time: which one is there, and is it whole.

    <cache>/kernels/<key>/linux           the kernel, a program of some 9 MB
    <cache>/kernels/<key>/kernel.json     what it was built from, its checksum, addresses of a few of its variables

<cache> is $XDG_CACHE_HOME/p2p-harness, ~/.cache/p2p-harness by default; <key> is a digest of the source package and of
the recipe (configuration, patches, build steps), so a change of either asks for a new kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentUnfit
from harness.virtual.source import Source, find_source

HERE = Path(__file__).parent
CONFIG = HERE / "kernel.config"
PATCHES = HERE / "patches"
RECIPE = 1  # raise it when a change of the build steps should make everybody build anew
BUILD = "build it with `harness kernel build` (about 5 minutes on two processors)"


@dataclass(frozen=True)
class Kernel:
    """A finished kernel. `symbols` are addresses, see `harness.virtual.watch`."""

    path: Path
    release: str
    symbols: dict[str, int]


@dataclass(frozen=True)
class Status:
    """`state` is "ready", "damaged", "missing" or "unsupported"; `message` says it to a person."""

    state: str
    message: str
    kernel: Kernel | None = None

    def __str__(self) -> str:
        return self.message


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "p2p-harness"


def recipe() -> str:
    """Digest of everything of ours that goes into the kernel."""
    parts = [str(RECIPE).encode(), CONFIG.read_bytes(), *(path.read_bytes() for path in patches())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def patches() -> list[Path]:
    return sorted(PATCHES.glob("*.patch"))


def directory(source: Source) -> Path:
    key = hashlib.sha256(f"{source.identity} {recipe()}".encode()).hexdigest()[:16]
    return cache_directory() / "kernels" / key


def status() -> Status:
    """Which kernel `find` would give."""
    if platform.machine() != "x86_64":
        return Status("unsupported", f"virtual time needs an x86-64 processor, this is {platform.machine()}")
    where = _where()
    if where is None:
        source = find_source()
        what = f"{source.path} is there" if source else "there is no kernel source package either"
        return Status("missing", f"no kernel in {cache_directory()} ({what}); {BUILD}")
    try:
        kernel = _load(where)
    except EnvironmentUnfit as error:
        return Status("damaged", str(error))
    return Status("ready", f"Linux {kernel.release}, ready: {kernel.path}", kernel)


def find() -> Kernel:
    """The kernel, checked. Raises EnvironmentUnfit that says what to do."""
    found = status()
    if found.kernel is None:
        raise EnvironmentUnfit(found.message)
    return found.kernel


def build(progress: Callable[[str], None], force: bool = False) -> Path:
    """Build the kernel unless it is there; `progress` gets lines for a person. Returns the program's path.

    Raises EnvironmentUnfit naming the packages that are missing, HarnessError when the build fails.
    """
    from harness.virtual.build import build_kernel

    found = status()
    if found.kernel is not None and not force:
        return found.kernel.path
    if found.state == "unsupported":
        raise EnvironmentUnfit(found.message)
    return build_kernel(progress, force)


def _where() -> Path | None:
    """The directory of the installed source's kernel; without a source, the newest that our recipe made."""
    source = find_source()
    if source is not None and (directory(source) / "kernel.json").exists():
        return directory(source)
    if source is not None:
        return None
    made = [path.parent for path in (cache_directory() / "kernels").glob("*/kernel.json")]
    ours = [path for path in made if _manifest(path).get("recipe") == recipe()]
    return max(ours, key=lambda path: (path / "kernel.json").stat().st_mtime, default=None)


def _manifest(where: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((where / "kernel.json").read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _load(where: Path) -> Kernel:
    manifest, path = _manifest(where), where / "linux"
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise EnvironmentUnfit(f"{path} cannot be read ({error.strerror}); build it again: {BUILD}") from error
    if not manifest or manifest.get("sha256") != digest:
        raise EnvironmentUnfit(f"the kernel in {where} is damaged (its checksum is wrong); {BUILD}")
    return Kernel(path, manifest["release"], manifest["symbols"])
