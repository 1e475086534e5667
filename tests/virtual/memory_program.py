"""Touches memory in every way that a page fault can come about; each line that it prints is something that held."""

import ctypes
import mmap
import os
import signal
import tempfile

PAGE = mmap.PAGESIZE
PAGES = 64
READABLE, WRITABLE, EXECUTABLE = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC


def address_of(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def protect(address: int, how: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), how) == 0


def how_a_child_ends(action) -> int:
    """The status of a child that does it: 0, or the negative number of the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def private() -> mmap.mmap:
    return mmap.mmap(-1, PAGES * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=READABLE | WRITABLE)


def reads_zeros_and_keeps_what_is_written() -> None:
    memory = private()
    assert not any(memory[page * PAGE] for page in range(PAGES))
    for page in range(PAGES):
        memory[page * PAGE + page] = page + 1
    assert [memory[page * PAGE + page] for page in range(PAGES)] == list(range(1, PAGES + 1))
    assert not any(memory[page * PAGE + page + 1] for page in range(PAGES))


def a_child_has_its_own_copy() -> None:
    memory = private()
    memory[:] = b"p" * len(memory)

    def change() -> None:
        assert memory[:] == b"p" * len(memory)
        memory[:: 2 * PAGE] = b"c" * (PAGES // 2)
        assert memory[: 2 * PAGE : PAGE] == b"cp"

    assert how_a_child_ends(change) == 0
    assert memory[:] == b"p" * len(memory)


def what_may_not_be_written_is_not() -> None:
    memory = private()
    address = address_of(memory)
    memory[0] = 7
    protect(address, READABLE)
    assert how_a_child_ends(lambda: ctypes.c_char.from_address(address).value) == 0
    assert how_a_child_ends(lambda: ctypes.memset(address, 1, 1)) == -signal.SIGSEGV
    protect(address, READABLE | WRITABLE)
    assert how_a_child_ends(lambda: ctypes.memset(address, 1, 1)) == 0
    assert memory[0] == 7


def what_may_not_be_read_is_not() -> None:
    memory = private()
    address = address_of(memory)
    protect(address, 0)
    assert how_a_child_ends(lambda: ctypes.string_at(address, 1)) == -signal.SIGSEGV
    assert how_a_child_ends(lambda: ctypes.string_at(8, 1)) == -signal.SIGSEGV


def machine_code_can_be_written_and_called() -> None:
    memory = mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=READABLE | WRITABLE | EXECUTABLE)
    memory[:6] = b"\xb8\x2a\x00\x00\x00\xc3"  # mov eax, 42; ret
    call = ctypes.CFUNCTYPE(ctypes.c_int)(address_of(memory))
    assert how_a_child_ends(lambda: os._exit(call())) == 42
    assert call() == 42


def files_change_only_where_they_are_shared() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"f" * PAGES * PAGE)
        file.flush()
        mine = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=READABLE | WRITABLE)
        ours = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=READABLE | WRITABLE)
        assert mine[:] == ours[:]
        mine[0] = ord("m")
        assert how_a_child_ends(lambda: ours.__setitem__(PAGE, ord("o"))) == 0
        assert ours[: 2 * PAGE : PAGE] == b"fo"
        assert mine[0] == ord("m")
        assert os.pread(file.fileno(), 2 * PAGE, 0)[::PAGE] == b"fo"


for check in (
    reads_zeros_and_keeps_what_is_written,
    a_child_has_its_own_copy,
    what_may_not_be_written_is_not,
    what_may_not_be_read_is_not,
    machine_code_can_be_written_and_called,
    files_change_only_where_they_are_shared,
):
    check()
    print(check.__name__, flush=True)
