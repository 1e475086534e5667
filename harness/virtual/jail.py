"""Start the kernel where it can change nothing but what it was given: `python3 -IS jail.py SPECIFICATION`.

The kernel and everything in it see a small file system of their own: the machine's root read-only under /root, the
writable directories in it at their own paths, /control, and the guest's memory in /mem. Nothing else of the machine is
there, it has no network, and no right (as root: no capability to mount anything) to change that. The guest's root may
therefore mount and write as it likes. When this process dies, by whatever signal, the kernel and all its processes go.

The specification (JSON): kernel, arguments, environment, control, writable, memory_mib, cpu, and report_fd, a socket on
which the kernel's process sends a byte (so that the receiver learns its process id) just before it becomes the kernel.
Standard library only, no import of ours, and no pathlib, which would double its start-up time: every run starts it.
"""

# ruff: noqa: PTH102, PTH110, PTH123, PTH211

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x4000000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_REC, MS_PRIVATE = 0x2, 0x4000, 0x40000
MNT_DETACH = 2
# Numbers of x86-64, the only processor that user-mode Linux runs on here.
SYS_PIVOT_ROOT, SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 155, 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, MOVE_MOUNT_F_EMPTY_PATH = 1, os.O_CLOEXEC, 4
MOUNT_ATTR_RDONLY = 1
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
ADDR_NO_RANDOMIZE = 0x0040000
# What root keeps: CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID. All are about files.
KEPT_CAPABILITIES = range(5)
# Links in the kernel's root, so that the first program finds its interpreter and libraries before the guest pivots.
SYSTEM_LINKS = ("dev", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "nix", "gnu")
SPARE_MIB = 16  # of /mem, beside the memory itself: what the kernel writes to probe the file system

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def main(specification: dict[str, Any]) -> NoReturn:
    die_with_parent()
    leave_namespaces()
    build_root(specification)
    # Process 1 of the new namespace is not the kernel itself, which aborts by a signal, and process 1 may ignore those.
    init = os.fork()
    if init == 0:
        die_with_parent()
        kernel = os.fork()
        if kernel == 0:
            become_kernel(specification)
        os.close(specification["report_fd"])
        sys.exit(status_of(kernel))
    os.close(specification["report_fd"])
    sys.exit(status_of(init))


def status_of(child: int) -> int:
    """Wait for it as a shell does: 128 and the number of the signal that ended it."""
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def check(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)
    return result


def syscall(number: int, what: str, *arguments: object) -> int:
    return check(libc.syscall(ctypes.c_long(number), *arguments), what)


def die_with_parent() -> None:
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl(PR_SET_PDEATHSIG)")


def leave_namespaces() -> None:
    """As root without a user namespace (files of all users stay readable), as anybody else with one."""
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and libc.unshare(flags) == 0:
        return
    check(libc.unshare(flags | CLONE_NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    texts = [text.encode() for text in (source, target, kind)]
    check(libc.mount(*texts, ctypes.c_ulong(flags), options.encode()), f"mount {target}")


def clone_mounts(path: str) -> int:
    """A detached copy of the mounts at and below `path`, as a file descriptor."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return syscall(SYS_OPEN_TREE, path, AT_FDCWD, path.encode(), flags)


def attach(mounts: int, target: str) -> None:
    syscall(SYS_MOVE_MOUNT, target, mounts, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH)
    os.close(mounts)


def set_read_only(mounts: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.sizeof(attributes)
    syscall(SYS_MOUNT_SETATTR, "mount_setattr", mounts, b"", AT_EMPTY_PATH | AT_RECURSIVE, attributes, size)


def build_root(specification: dict[str, Any]) -> None:
    """Compose the file system that the kernel process sees, on a tmpfs over `control`/jail, and move into it."""
    control: str = specification["control"]
    jail = f"{control}/jail"
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    machine, given = clone_mounts("/"), [(path, clone_mounts(path)) for path in specification["writable"]]
    controls, program = clone_mounts(control), os.open(specification["kernel"], os.O_RDONLY)
    set_read_only(machine)
    size = f"size={specification['memory_mib'] + SPARE_MIB}m,mode=755"
    mount("none", jail, "tmpfs", MS_NOSUID, size)
    for name in ("root", "control", "mem", "proc"):
        os.mkdir(f"{jail}/{name}")
    for name in SYSTEM_LINKS:
        if os.path.exists(f"/{name}"):
            os.symlink(f"root/{name}", f"{jail}/{name}")
    copy(program, f"{jail}/linux", 0o755)
    copy(os.open("/proc/cpuinfo", os.O_RDONLY), f"{jail}/proc/cpuinfo", 0o644)  # the kernel reads its flags from it
    attach(machine, f"{jail}/root")
    for path, mounts in given:
        attach(mounts, f"{jail}/root{path}")
    attach(controls, f"{jail}/control")
    os.chdir(jail)
    syscall(SYS_PIVOT_ROOT, "pivot_root", b".", b".")
    check(libc.umount2(b".", MNT_DETACH), "umount of the machine's root")
    os.chdir("/")


def copy(source: int, target: str, mode: int) -> None:
    sink = os.open(target, os.O_WRONLY | os.O_CREAT, mode)
    while block := os.read(source, 1 << 20):
        os.write(sink, block)
    os.close(source)
    os.close(sink)


def become_kernel(specification: dict[str, Any]) -> NoReturn:
    die_with_parent()
    os.setsid()
    if specification["cpu"] is not None:
        os.sched_setaffinity(0, {specification["cpu"]})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # one descriptor for each file that the guest has open
    drop_capabilities()
    check(libc.personality(ctypes.c_ulong(ADDR_NO_RANDOMIZE)), "personality")  # the same addresses in every run
    os.write(specification["report_fd"], b"k")
    os.close(specification["report_fd"])
    os.execve("/linux", ["linux", *specification["arguments"]], specification["environment"])


def drop_capabilities() -> None:
    """Keep nothing that could undo the read-only mounts. An ordinary user has none left after exec in any case."""
    capability = 0
    while libc.prctl(PR_CAPBSET_READ, capability) >= 0:
        if capability not in KEPT_CAPABILITIES:
            check(libc.prctl(PR_CAPBSET_DROP, capability), f"dropping capability {capability}")
        capability += 1
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except OSError as error:
        print(f"jail: {error.filename or ''}: {error.strerror}", file=sys.stderr)
        sys.exit(125)
