"""The warm parent: a small process that has imported the peers once and forks one for each that is to start.

Starting Python and importing takes tens of milliseconds a peer, a fork of a process that has done it well under one.
It speaks over a socket that keeps message boundaries; descriptors of a new peer travel with the order:

    to it    {"peer", "host", "argv" | "foreign" | "program", "disk"}  + namespace, standard input, output, error
    from it  {"peer", "pid"}          it has been forked
             {"peer", "status", "t_ns"}   it has ended: as of waitpid, negative for a signal
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from harness.emulation import full_disk, syscalls

if TYPE_CHECKING:
    from peers.options import Arguments

AT_ONCE = 64  # orders taken together: each holds descriptors until its peer is forked
DESCRIPTORS = 4  # namespace, standard input, output, error
SOFTWARE = 70  # sysexits.h: what a peer that failed by itself ends with
CANNOT_RUN = 127  # as a shell says of a program that it cannot run
_KEPT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def spawn() -> tuple[int, socket.socket]:
    """Fork the warm parent; returns its pid and our end of its socket. Call it while this process is small."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _serve(theirs, parent)
    theirs.close()
    return pid, ours


def _serve(control: socket.socket, parent: int) -> NoReturn:
    """The life of the warm parent; it ends, and with it every peer, when its socket does."""
    status = SOFTWARE
    try:
        syscalls.die_with_parent(parent)
        syscalls.set_process_name("warm-parent")
        signal.pthread_sigmask(signal.SIG_BLOCK, _KEPT_SIGNALS)  # a peer gets its own even before it can take them
        import peers.node  # noqa: F401 - what makes it warm

        gc.collect()
        gc.freeze()  # children shall not copy pages only because the collector looked at them
        _WarmParent(control).run()
        status = 0
    except Exception:  # noqa: BLE001 - its standard error is the only place left to tell it
        traceback.print_exc()
    finally:
        os._exit(status)


class _Order(NamedTuple):
    what: dict[str, Any]
    descriptors: Sequence[int]
    arguments: Arguments | None  # of a peer, read here; None: the child shall, and say what is wrong with them


class _WarmParent:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.peers: dict[int, str] = {}
        self.wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def run(self) -> None:
        while True:
            readable = select.select([self.control.fileno(), self.wake], [], [])[0]
            if self.wake in readable:
                os.read(self.wake, 4096)
                self.reap()
            if self.control.fileno() in readable:
                orders = self.take()
                if orders is None:
                    return
                gc.freeze()
                for order in orders:
                    self.start(order)

    def take(self) -> list[_Order] | None:
        """All orders that are there, each made ready before the first fork; None at the end.

        Every page that a child writes to is copied for it, and so is every page that its parent writes to between two
        forks. Reading a command line touches more pages than all the rest of a start, so it is done here, together.
        """
        orders: list[_Order] = []
        while len(orders) < AT_ONCE and (not orders or select.select([self.control], [], [], 0)[0]):
            data, descriptors, _flags, _address = socket.recv_fds(self.control, 1 << 16, DESCRIPTORS)
            if not data:
                return None
            what = json.loads(data)
            orders.append(_Order(what, descriptors, _read(what["argv"]) if "argv" in what else None))
        return orders

    def start(self, order: _Order) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(order, parent)
        for descriptor in order.descriptors:
            os.close(descriptor)
        name = order.what["peer"]
        self.peers[pid] = name
        self.say({"peer": name, "pid": pid})

    def reap(self) -> None:
        while self.peers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self.say({"peer": self.peers.pop(pid), "pid": pid, "status": code, "t_ns": time.monotonic_ns()})

    def say(self, message: dict[str, Any]) -> None:
        self.control.send(json.dumps(message).encode())


def _read(argv: list[str]) -> Arguments | None:
    """A peer's command line; its protocol's module is here from then on. What is wrong with it the peer will tell."""
    from peers.options import parse

    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return parse(argv)
    except (SystemExit, ImportError):
        return None


def _become(order: _Order, parent: int) -> NoReturn:
    """In the child: enter the host and run."""
    status = SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *_KEPT_SIGNALS):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _KEPT_SIGNALS)
        os.setsid()
        syscalls.die_with_parent(parent)
        namespace, *streams = order.descriptors
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        syscalls.unshare(syscalls.CLONE_NEWUTS)
        socket.sethostname(order.what["host"])
        syscalls.set_process_name(order.what["peer"])
        for target, descriptor in enumerate(streams):
            os.dup2(descriptor, target)
        os.closerange(3, 1 << 16)
        os.chdir(order.what["disk"])
        if order.what.get("full"):
            full_disk.fill(0, full=True)
        status = _run(order)
    except Exception:  # noqa: BLE001 - goes to the peer's log
        traceback.print_exc()
    finally:
        full_disk.fill(0, full=False)  # its last words are not the peer's files
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(order: _Order) -> int:
    what = order.what
    if "program" in what:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        program = what["program"]
        try:
            os.execvpe(program[0], program, os.environ | what.get("environment", {}))
        except OSError as error:
            print(f"cannot run {program[0]}: {error.strerror}", file=sys.stderr)
            return CANNOT_RUN
    if "foreign" in what:
        from peers import program as foreign

        return foreign.main(what["foreign"])
    from peers import node

    return node.main(what["argv"]) if order.arguments is None else node.live(order.arguments)
