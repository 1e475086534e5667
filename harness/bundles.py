"""One archive of a run or a sweep, for a reviewer: everything that was asked for and found, without the peers' disks.

    harness-bundle.json    format, kind (run, sweep), name
    <name>/...             the run directory, or that of the sweep

Archives come from strangers: what would be written outside the directory, or is no plain file, is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from harness.errors import RecordError

FORMAT = 1
HEAD = "harness-bundle.json"
LEFT_OUT = ("disks", ".lock")
MOST_BYTES = 64 << 30  # of an archive, unpacked


def pack(source: Path, target: Path, captures: bool = False) -> int:
    """Write the archive, gzip-compressed tar, and return how many files are in it. Raises RecordError."""
    source = source.resolve()
    kind = "sweep" if (source / "sweep.json").exists() else "run" if (source / "plan.json").exists() else ""
    if not kind:
        raise RecordError(f"{source} is neither a run directory nor that of a sweep; see `harness list`")
    name = source.parent.name if kind == "sweep" else f"{source.parent.name}-{source.name}"
    head = json.dumps({"format": FORMAT, "kind": kind, "name": name}).encode()
    partial = target.with_name(target.name + ".part")
    try:
        with tarfile.open(partial, "w:gz") as archive:
            first = tarfile.TarInfo(HEAD)
            first.size = len(head)
            archive.addfile(first, io.BytesIO(head))
            count = 0
            for path in _files(source, captures):
                archive.add(path, f"{name}/{path.relative_to(source).as_posix()}", filter=_anonymous)
                count += 1
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RecordError(f"cannot write {target}: {error.strerror}") from error
    return count


def _files(source: Path, captures: bool) -> Iterator[Path]:
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source).parts
        if path.is_symlink() or not path.is_file() or any(part in LEFT_OUT for part in inner):
            continue
        if captures or path.suffix != ".pcapng":
            yield path


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose files they were is nobody's business."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack(archive: Path, into: Path) -> Path:
    """The directory that was packed, below `into`. Raises RecordError."""
    try:
        with tarfile.open(archive, "r:gz") as found:
            first = found.next()
            head = found.extractfile(first) if first is not None and first.name == HEAD else None
            if head is None:
                raise RecordError(f"{archive} was not made by `harness bundle`: it does not begin with {HEAD}")
            record = json.loads(head.read(1 << 16))
            if record.get("format") != FORMAT:
                raise RecordError(f"{archive} has format {record.get('format')}; this harness reads {FORMAT}")
            _extract(found, archive, into)
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise RecordError(f"cannot unpack {archive}: {error}") from error
    return into / _safe(str(record["name"]), archive)


def _extract(found: tarfile.TarFile, archive: Path, into: Path) -> None:
    written = 0
    for member in found:
        if not member.isfile():
            raise RecordError(f"{archive}: {member.name!r} is no plain file; no bundle of ours has that")
        target = into / _safe(member.name, archive)
        written += member.size
        if written > MOST_BYTES:
            raise RecordError(f"{archive} unpacks to more than {MOST_BYTES >> 30} GiB")
        target.parent.mkdir(parents=True, exist_ok=True)
        content = found.extractfile(member)
        assert content
        with target.open("wb") as file:
            while block := content.read(1 << 20):
                file.write(block)


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise RecordError(f"{archive}: {name!r} would be written elsewhere; no bundle of ours has that")
    return path


def opened(path: Path, into: Path) -> Path:
    """A directory as it is; an archive unpacked below `into`, once for each content. Raises RecordError."""
    if not path.is_file():
        return path
    try:
        with path.open("rb") as archive:
            content = hashlib.sha256()
            while block := archive.read(1 << 20):
                content.update(block)
        place = into / f"{path.name.removesuffix('.gz').removesuffix('.tar')}-{content.hexdigest()[:12]}"
        if not place.exists():
            into.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=into, prefix=".opening-") as partial:
                unpack(path, Path(partial) / "whole")
                (Path(partial) / "whole").rename(place)
        return next(entry for entry in place.iterdir() if entry.is_dir())
    except (OSError, StopIteration) as error:
        raise RecordError(f"cannot unpack {path} below {into}: {error}") from error
