"""Where a peer keeps the bytes of what it shares and fetches: in memory, or as files of its own directory.

Names come from strangers. A name is one to eight parts with "/" between them, each as good a file name as any system's:
what could lead out of the directory is refused before it reaches the file system, and links are not followed.
"""

from __future__ import annotations

import os
from typing import Protocol

from peers import content

MAX_NAME_BYTES = 1024
MAX_PARTS = 8
MAX_PART_BYTES = 255  # limits.h: NAME_MAX
MAX_FILE_BYTES = 1 << 40
MEMORY_BYTES = 1 << 30
COPY_BYTES = 1 << 18


class StoreError(Exception):
    """A name that is not allowed, a full disk, or one that fails."""


class Store(Protocol):
    """Files by name. All but `names` raise StoreError."""

    def size(self, name: str) -> int | None:
        """Bytes up to the end of the last one written; None when there is no such file."""

    def read(self, name: str, offset: int, count: int) -> bytes:
        """Fewer bytes at the end of the file, none beyond it."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Make the file if need be; what was never written reads as zeros. What is shared is not written to."""

    def share(self, name: str, size: int) -> None:
        """Have the whole known content of an item (peers.content) under its name; from then on it is only read."""

    def rename(self, old: str, new: str) -> None:
        """At once, in the place of what had the new name."""

    def remove(self, name: str) -> None:
        """Nothing happens when there is no such file."""

    def names(self) -> list[str]: ...


def check_name(name: str) -> str:
    """The name itself. Raises StoreError for one that is no harmless relative path."""
    parts = name.split("/")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError as error:
        raise StoreError(f"name {name[:40]!r} is not text") from error
    if len(parts) > MAX_PARTS or sum(sizes) > MAX_NAME_BYTES or max(sizes) > MAX_PART_BYTES:
        raise StoreError(f"name {name[:40]!r}... is too long")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or any(ord(sign) < 32 for sign in name):
        raise StoreError(f"name {name[:40]!r} is not allowed")
    return name


def _check_span(offset: int, count: int) -> None:
    if offset < 0 or count < 0 or offset + count > MAX_FILE_BYTES:
        raise StoreError(f"{count} bytes at {offset} are out of bounds")


class MemoryStore:
    """Files in memory; those that are shared are generated when they are read, and take none."""

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.full = False  # nothing can be written for now
        self._files: dict[str, bytearray] = {}
        self._generated: dict[str, int] = {}

    def size(self, name: str) -> int | None:
        if check_name(name) in self._generated:
            return self._generated[name]
        return len(self._files[name]) if name in self._files else None

    def read(self, name: str, offset: int, count: int) -> bytes:
        _check_span(offset, count)
        if check_name(name) in self._generated:
            return content.read(name, offset, min(count, self._generated[name] - offset))
        if name not in self._files:
            raise StoreError(f"there is no file {name!r}")
        return bytes(memoryview(self._files[name])[offset : offset + count])

    def write(self, name: str, offset: int, data: bytes) -> None:
        _check_span(offset, len(data))
        if check_name(name) in self._generated:
            raise StoreError(f"{name!r} is shared: it is not written to")
        if self.full and data:
            raise StoreError(f"cannot write {name!r}: the disk is full")
        held = len(self._files.get(name, b""))
        grows = max(0, offset + len(data) - held)
        self._reserve(grows)
        file = self._files.setdefault(name, bytearray())
        if offset > held:
            file.extend(bytes(offset - held))
        file[offset : offset + len(data)] = data

    def share(self, name: str, size: int) -> None:
        _check_span(0, size)
        if self.full and size:
            raise StoreError(f"cannot write {name!r}: the disk is full")
        self.remove(name)
        self._generated[name] = size

    def rename(self, old: str, new: str) -> None:
        if check_name(old) not in self._files:
            raise StoreError(f"there is no file {old!r}")
        self.remove(new)
        self._files[new] = self._files.pop(old)

    def remove(self, name: str) -> None:
        check_name(name)
        self._generated.pop(name, None)
        self.used_bytes -= len(self._files.pop(name, b""))

    def names(self) -> list[str]:
        return sorted({*self._files, *self._generated})

    def _reserve(self, count: int) -> None:
        if self.used_bytes + count > self.max_bytes:
            raise StoreError(f"the store is full: it holds {self.max_bytes} bytes")
        self.used_bytes += count


class FileStore:
    """Real files below a directory, which is made when the first is written."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._shared: set[str] = set()

    def size(self, name: str) -> int | None:
        try:
            return os.stat(self._path(name), follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed("stat", name, error) from error

    def read(self, name: str, offset: int, count: int) -> bytes:
        _check_span(offset, count)
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, count, offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed("read", name, error) from error

    def write(self, name: str, offset: int, data: bytes) -> None:
        _check_span(offset, len(data))
        if name in self._shared:
            raise StoreError(f"{name!r} is shared: it is not written to")
        try:
            self._write(self._path(name), offset, data)
        except OSError as error:
            raise _failed("write", name, error) from error

    def share(self, name: str, size: int) -> None:
        _check_span(0, size)
        self.remove(name)
        self.write(name, 0, b"")
        for at in range(0, size, COPY_BYTES):
            self.write(name, at, content.read(name, at, min(COPY_BYTES, size - at)))
        self._shared.add(name)

    def rename(self, old: str, new: str) -> None:
        if old in self._shared:
            raise StoreError(f"{old!r} is shared: it is not renamed")
        self._shared.discard(new)
        try:
            os.makedirs(os.path.dirname(self._path(new)), exist_ok=True)
            os.replace(self._path(old), self._path(new))
        except OSError as error:
            raise _failed("rename", old, error) from error

    def remove(self, name: str) -> None:
        self._shared.discard(name)
        try:
            os.unlink(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _failed("remove", name, error) from error

    def names(self) -> list[str]:
        found = []
        for directory, _, files in os.walk(self.directory):
            found += [os.path.relpath(os.path.join(directory, file), self.directory) for file in files]
        return sorted(found)

    def _path(self, name: str) -> str:
        path = self.directory
        for part in check_name(name).split("/"):
            path = os.path.join(path, part)
            if os.path.islink(path):
                raise StoreError(f"name {name[:40]!r} leads out of the store")
        return path

    @staticmethod
    def _write(path: str, offset: int, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o644)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, flags, 0o644)
        try:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(descriptor, rest, offset)
                rest, offset = rest[written:], offset + written
        finally:
            os.close(descriptor)


def _failed(what: str, name: str, error: OSError) -> StoreError:
    return StoreError(f"cannot {what} {name!r}: {error.strerror or error}")
