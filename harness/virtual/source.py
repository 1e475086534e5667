"""Where the kernel's source is: the package of the distribution, or a tar file that the user names."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EnvironmentUnfit

FOLDER = Path("/usr/src")
VARIABLE = "HARNESS_KERNEL_SOURCE"  # names a tar file, for machines whose distribution has no fitting package
OLDEST = (6, 12)
PATTERN = re.compile(r"linux(?:-source)?-(\d+)\.(\d+)[^/]*\.tar\.(xz|bz2|gz)")
TAIL_BYTES = 65536  # the end of an xz file is its index, with the size of every block: it identifies the file


@dataclass(frozen=True)
class Source:
    """A tar file with a kernel in it. Debian has linux-source-6.12.tar.xz; Ubuntu keeps its own in a folder."""

    path: Path
    version: tuple[int, int]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def identity(self) -> str:
        """A digest of name, size and end of the file."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, size - TAIL_BYTES))
            return hashlib.sha256(f"{self.name} {size} ".encode() + file.read()).hexdigest()


def find_source() -> Source | None:
    """The newest source on this machine, None when there is none; OLDEST is the least that will do."""
    if named := os.environ.get(VARIABLE):
        source = _source(Path(named))
        if source is None or not source.path.is_file():
            raise EnvironmentUnfit(f"{VARIABLE} is {named}: not a file named linux-VERSION.tar.xz (.bz2, .gz)")
        return source
    candidates = [_source(path) for path in (*FOLDER.glob("linux-*.tar.*"), *FOLDER.glob("linux-*/linux-*.tar.*"))]
    usable = [source for source in candidates if source is not None and source.version >= OLDEST]
    return max(usable, key=lambda source: (source.version, source.name), default=None)


def need_source() -> Source:
    """Like find_source. Raises EnvironmentUnfit saying which package to install."""
    source = find_source()
    if source is None:
        wanted = ".".join(str(number) for number in OLDEST)
        raise EnvironmentUnfit(
            f"no kernel source {wanted} or newer in {FOLDER}; install it: apt-get install linux-source-{wanted} "
            f"(Debian 12 and 13 have it), or name a tar file from kernel.org in {VARIABLE}"
        )
    return source


def _source(path: Path) -> Source | None:
    match = PATTERN.fullmatch(path.name)
    return Source(path, (int(match[1]), int(match[2]))) if match else None
