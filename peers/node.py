"""The shell around a core: the one place where a peer touches sockets, the clock, its command line and its console.

One loop in one thread: wait for a descriptor or an alarm, hand the core one input, carry out the effects it returns.
Events that a turn of the loop brings forth leave with one write. Exit statuses: 0 stopped in order, 2 a wrong command
line, 69 the address cannot be listened on, 70 the core failed (both as in sysexits.h).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from peers import core as io
from peers.console import CommandReader, EventWriter
from peers.options import Arguments, parse
from peers.sockets import bind_all, stream_limit
from peers.store import FileStore
from peers.streams import Stream, Streams
from peers.timers import Timers
from peers.waiting import ready

UNAVAILABLE, SOFTWARE = 69, 70
SHARED = "shared"  # where a peer's files are, below its working directory
EVENTS_PER_TURN = 64
DATAGRAMS_PER_TURN = 32
DATAGRAM_BYTES = 65_536
STOP_GRACE_S = 0.5  # for what is unsent, when a peer stops in order


def main(argv: list[str]) -> int:
    """Be a peer until it ends, and return the exit status. Needs nothing but descriptors 0, 1 and 2."""
    try:
        arguments = parse(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    return live(arguments)


def live(arguments: Arguments) -> int:
    """The same with a command line that was read already."""
    try:
        sockets, address, address6 = bind_all(arguments.listen, arguments.listen6, arguments.core.transports)
    except OSError as error:
        where = " and ".join(str(address) for address in (arguments.listen, arguments.listen6) if address)
        print(f"peers: cannot listen on {where}: {error.strerror or error}", file=sys.stderr)
        return UNAVAILABLE
    chance = (arguments.seed, arguments.restart)
    disk = FileStore(SHARED)
    setting = io.Setting.seeded(
        address, arguments.bootstrap, *chance, trace=arguments.trace, store=disk, address6=address6
    )
    try:
        core = arguments.core(setting, arguments.options)
    except ValueError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 2
    return Node(core, sockets, arguments).main()


class Signals:
    """SIGTERM and SIGINT as an order to end, which also wakes the loop."""

    def __init__(self, end: Callable[[str], None]) -> None:
        self.wake, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        handlers: dict[signal.Signals, Any] = {
            signal.SIGTERM: lambda *_: end("SIGTERM"),
            signal.SIGINT: lambda *_: end("SIGINT"),
            signal.SIGPIPE: signal.SIG_IGN,  # a write says it too
            signal.SIGTTIN: signal.SIG_IGN,  # in the background of a terminal a peer goes on, without commands
        }
        self._old = {number: signal.signal(number, handler) for number, handler in handlers.items()}

    def read(self) -> None:
        os.read(self.wake, 64)

    def restore(self) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        os.close(self.wake)
        os.close(self._write)


class Node:
    """A core at work on its sockets."""

    def __init__(self, core: io.Core, sockets: dict[tuple[str, bool], socket.socket], arguments: Arguments) -> None:
        self.core = core
        self.epoll = select.epoll()
        self.timers = Timers()
        self.inputs: deque[io.Input] = deque()
        limit = stream_limit(arguments.max_streams)
        self.streams = Streams(
            self.epoll, self.timers, self.inputs.append, limit, *(address.host for address in core.addresses)
        )
        self.events = EventWriter(1)
        self.commands = CommandReader(0)
        self.signals = Signals(self._end)
        self.udp = {ipv6: sock for (transport, ipv6), sock in sockets.items() if transport == "udp"}
        self.tcp = [sock for (transport, _), sock in sockets.items() if transport == "tcp"]
        self._udp_of = {sock.fileno(): sock for sock in self.udp.values()}
        self.t_ns = time.monotonic_ns()
        self.looked: float | None = None  # when alarms were looked for last: each look at the clock is a system call
        self.end = ""  # why the peer stops, once it does
        self.lagging = False  # whoever reads standard output
        self.listening_to_stdin = False
        self.unsent_datagrams = 0
        self._perform: dict[type, Callable[[Any], None]] = {
            io.SendDatagram: self._send,
            io.Connect: lambda effect: self.streams.connect(effect.conn, effect.to, self.t_ns / 1e9),
            io.Write: lambda effect: self.streams.write(effect.conn, effect.data),
            io.AskDrained: lambda effect: self.streams.ask_drained(effect.conn),
            io.Close: self._close,
            io.SetTimer: lambda effect: self.timers.set(effect.name, effect.at),
            io.CancelTimer: lambda effect: self.timers.cancel(effect.name),
            io.Exit: lambda _: self._end("done"),
            io.Emit: lambda effect: self.events.add(self.t_ns, effect.event, effect.fields),
        }

    def main(self) -> int:
        """Run to the end; what the core throws becomes the event `crash`."""
        status = 0
        try:
            self._open()
            self._take(io.Started())
            self._listen_to_stdin()
            self._run()
            self._stop()
        except Exception as error:  # noqa: BLE001 the boundary: whatever the core threw is told, here and on stderr
            status = SOFTWARE
            self.events.add(time.monotonic_ns(), "crash", {"error": f"{type(error).__name__}: {error}"})
            self.events.close(STOP_GRACE_S)
            traceback.print_exc()
        finally:
            self.signals.restore()
            self.streams.close_all()
            for sock in self.udp.values():
                sock.close()
            self.epoll.close()
        return status

    # ---- the loop ----

    def _run(self) -> None:
        while not self.end:
            self._flush()
            for fd, mask in self._wait():
                self._ready(fd, mask)
            self._alarms()

    def _wait(self) -> list[tuple[int, int]]:
        due = self.timers.next()
        if due is None:
            return self.epoll.poll(-1, EVENTS_PER_TURN)
        return ready(self.epoll, due, self.looked, EVENTS_PER_TURN)

    def _ready(self, fd: int, mask: int) -> None:
        if fd in self._udp_of:
            self._receive(self._udp_of[fd])
        elif fd == self.commands.fd:
            self._read_commands()
        elif fd == self.signals.wake:
            self.signals.read()
        elif fd != self.events.fd:  # events are flushed in every turn anyway
            self.t_ns = time.monotonic_ns()
            self.streams.ready(fd, mask, self.t_ns / 1e9)
            self._drain()

    def _alarms(self) -> None:
        for _ in range(len(self.timers)):  # one round: a core that asks for alarms without end must not starve sockets
            self.looked = time.monotonic_ns() / 1e9
            name = self.timers.pop_due(self.looked)
            if name is None:
                return
            if isinstance(name, Stream):
                self.streams.expired(name)
                self._drain()
            else:
                self._take(io.TimerFired(str(name)))

    def _take(self, happening: io.Input) -> None:
        self.inputs.append(happening)
        self._drain()

    def _drain(self) -> None:
        """Hand over inputs one by one; carrying out effects may bring new ones."""
        while self.inputs:
            self.t_ns = time.monotonic_ns()
            for effect in self.core.handle(self.t_ns / 1e9, self.inputs.popleft()):
                self._perform[type(effect)](effect)

    def _flush(self) -> None:
        """Write events; while the reader lags, be woken when it reads on."""
        self.events.flush()
        if self.events.broken:
            self._end("nobody reads standard output")
        lagging = bool(self.events.pending)
        if lagging and not self.lagging:
            self.epoll.register(self.events.fd, select.EPOLLOUT)
        elif self.lagging and not lagging:
            self.epoll.unregister(self.events.fd)
        self.lagging = lagging

    # ---- effects ----

    def _send(self, effect: io.SendDatagram) -> None:
        assert self.udp, "a core that sends datagrams has udp among its transports"
        sender = self.udp.get(effect.to.ipv6)
        try:
            if sender is not None:
                sender.sendto(effect.data, effect.to)
                return
        except OSError:  # no route, link down, buffer full: a datagram may get lost, but it is counted
            pass
        self.unsent_datagrams += 1  # also what is for a family that this peer does not have

    def _close(self, effect: io.Close) -> None:
        self.streams.close(effect.conn, self.t_ns / 1e9)
        if self.inputs:  # a core is not told of the end of a stream that it closed itself
            kept = [i for i in self.inputs if not (isinstance(i, io.Closed) and i.conn == effect.conn)]
            self.inputs.clear()
            self.inputs.extend(kept)

    # ---- inputs ----

    def _receive(self, udp: socket.socket) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                data, source = udp.recvfrom(DATAGRAM_BYTES)
            except OSError:  # none left, or an ICMP error of one that we sent
                return
            self._take(io.Datagram(io.Address(*source[:2]), data))

    def _read_commands(self) -> None:
        commands, wrong = self.commands.read()
        for command in commands:
            self._command(command)
        for reason in wrong:
            self.events.add(time.monotonic_ns(), "malformed", {"from": "stdin", "reason": reason})
        if self.commands.ended and self.listening_to_stdin:
            self.epoll.unregister(self.commands.fd)
            if not self.commands.lost:
                self._end("standard input closed")

    def _command(self, command: io.Command) -> None:
        if command.verb == "stop":
            self._end("command")
        elif command.verb in self.core.verbs:
            self._take(command)
        else:
            known = ", ".join(sorted(self.core.verbs | {"stop"}))
            fields = {"op": command.op, "verb": command.verb, "item": command.args.get("item"), "ok": False}
            more: dict[str, Any] = {"providers": [], "hops": None, "reason": "unknown verb", "known": known}
            self.events.add(time.monotonic_ns(), "op_end", {**fields, **more})

    # ---- beginning and end ----

    def _open(self) -> None:
        for sock in self.udp.values():
            self.epoll.register(sock.fileno(), select.EPOLLIN)
        for sock in self.tcp:
            self.streams.listen(sock)
        where = {"protocol": self.core.protocol, "role": self.core.role, "address": str(self.core.address)}
        for address6 in self.core.addresses[1:]:
            where["address6"] = str(address6)
        self.events.add(time.monotonic_ns(), "listening", {**where, "pid": os.getpid()})
        self.epoll.register(self.signals.wake, select.EPOLLIN)

    def _listen_to_stdin(self) -> None:
        try:
            self.epoll.register(self.commands.fd, select.EPOLLIN)
            self.listening_to_stdin = True
        except OSError:  # a file or /dev/null, which epoll refuses, or nothing: it is read now, and its end is no order
            while not self.commands.ended:
                self._read_commands()

    def _end(self, why: str) -> None:
        self.end = self.end or why

    def _stop(self) -> None:
        """Say goodbye: a core that knows the verb `stop` gets it last, then what is unsent may still leave."""
        if "stop" in self.core.verbs:
            self._take(io.Command("", "stop", {}))
        self.streams.drain(STOP_GRACE_S)
        counts = {"unsent_datagrams": self.unsent_datagrams, "refused_streams": self.streams.refused}
        self.events.add(time.monotonic_ns(), "stopped", {"reason": self.end, **counts})
        self.events.close(STOP_GRACE_S)
