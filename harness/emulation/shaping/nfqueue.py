"""Shaping for kernels without netem: the kernel queues packets where they enter a wire, a process says when they go on.

Rates are the kernel's own token buckets at the ports by which packets leave.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.emulation import rtnl
from harness.emulation.namespaces import Namespaces
from harness.emulation.shaping import Shapes, jitter, scheduler
from harness.emulation.shaping.buckets import Buckets
from harness.emulation.shaping.packet_queue import QUEUES, counters
from harness.emulation.wires import PLACE, Way
from harness.errors import EmulationError, EnvironmentUnfit
from harness.plan.seeds import number
from topologies.model import Impairment

ANSWER_TIMEOUT_S = 20.0
UNABLE = ("duplicate_pct", "corrupt_pct")
_DELAYS = ("delay_ms", "jitter_ms", "loss_pct", "reorder_pct")


class NfqueueShaper:
    """One scheduler process for all ways; see harness/emulation/shaping/scheduler.py."""

    name = "nfqueue"

    def __init__(self, namespaces: Namespaces, seed: int, mtu: int, ipv6: bool = False) -> None:
        self.namespaces, self.seed, self.ipv6 = namespaces, seed, ipv6
        self.buckets = Buckets(namespaces[PLACE].channel, mtu)
        self.facts: dict[str, Any] = {"shaping": self.name}
        self._asked: dict[Way, Impairment] = {}
        self._changes = 0
        self._queued: set[int] = set()  # bridges whose packets are queued
        self._control: socket.socket | None = None
        self.pid = 0

    # ---- life ----

    def install(self, shapes: Shapes, coming: Shapes) -> None:
        for way, impairment in [*shapes.items(), *coming.items()]:
            _refuse(way, impairment)
        wanted = [way for way in shapes if _delayed(shapes[way]) or (way in coming and _delayed(coming[way]))]
        self.buckets.install(shapes, coming)
        self._asked = dict(shapes)
        if wanted:
            self._start()
            self._set(wanted)

    def change(self, way: Way, impairment: Impairment) -> None:
        _refuse(way, impairment)
        self._asked[way] = impairment
        self._changes += 1
        if _delayed(impairment) and self._control is None:
            self._start()
        if self._control is not None:
            self._set([way])
        self.buckets.change(way, impairment)

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.pid:
            os.waitpid(self.pid, 0)  # it ends when its control channel does
            self.pid = 0

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            scheduler.serve(theirs, parent, self.namespaces[PLACE].descriptor)
        theirs.close()
        ours.settimeout(ANSWER_TIMEOUT_S)
        self.pid, self._control = pid, ours
        self.facts["shaper_priority"] = self._answer()["ready"]
        self._hand_over()

    def _hand_over(self) -> None:
        """Have iptables send all IP packets of the wires' bridges (those that show them to it) to the queues.

        With IPv6 its neighbour discovery is among them: it waits as everything does.
        """
        with self.namespaces.inside(PLACE):
            for program in ("iptables", "ip6tables") if self.ipv6 else ("iptables",):
                fill_queues(program)

    # ---- orders ----

    def _set(self, ways: Iterable[Way]) -> None:
        orders = [
            {"port": way.entry, "impairment": asdict(self._asked[way]),
             "seed": number(self.seed, "shaping", way.link, way.direction, self._changes)}
            for way in ways
        ]  # fmt: skip
        for first in range(0, len(orders), 200):
            self._ask(do="set", ways=orders[first : first + 200])
        fresh = {way.bridge: f"link {way.link}" for way in ways if way.bridge not in self._queued}
        self.namespaces[PLACE].channel.carry_out([rtnl.show_to_iptables(*bridge) for bridge in fresh.items()])
        self._queued.update(fresh)

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self._control is not None
        try:
            self._control.send(json.dumps(order).encode())
        except OSError as error:
            raise EmulationError(f"the shaping process has ended: {error.strerror}") from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._control is not None
        try:
            data = self._control.recv(1 << 20)
        except TimeoutError as error:
            raise EmulationError(f"the shaping process gave no answer in {ANSWER_TIMEOUT_S:g} s") from error
        except OSError as error:  # it ended before it had read the question: ECONNRESET, unix(7)
            raise EmulationError(f"the shaping process has ended: {error.strerror}") from error
        answer: dict[str, Any] = json.loads(data) if data else {"error": "it has ended"}
        if "error" in answer:
            raise EmulationError(f"the shaping process failed: {answer['error']}")
        return answer

    # ---- what is so ----

    def differences(self) -> list[str]:
        wrong = self.buckets.differences()
        if self._control is None:
            return wrong
        told: Mapping[str, Any] = self._ask(do="tell")["ways"]
        for way, impairment in self._asked.items():
            holds = told.get(str(way.entry))
            if holds != asdict(impairment) and (holds is not None or _delayed(impairment)):
                wrong.append(f"link {way.link} ({way.direction}): the shaping process has {holds}")
        return wrong

    def late(self) -> dict[str, float]:
        return self._ask(do="late") if self._control is not None else {}

    def statistics(self) -> dict[str, Any]:
        counted = self._ask(do="count") if self._control is not None else {}
        by_port = counted.pop("by_port", {})
        links = {
            f"{way.link}/{way.direction}": {"passed": by_port[str(way.entry)][0], "lost": by_port[str(way.entry)][1]}
            for way in self._asked
            if str(way.entry) in by_port
        }
        full = self.buckets.drops()
        dropped = self._kernel_drops()
        return {
            **counted, "queue_full": sum(full.values()), "queue_full_by_link": full, "by_link": links,
            "unplanned": {"shaper_queue_full": dropped.queue_dropped, "shaper_socket_full": dropped.user_dropped},
        }  # fmt: skip

    def _kernel_drops(self) -> Any:
        with self.namespaces.inside(PLACE):
            path = Path("/proc/thread-self/net/netfilter/nfnetlink_queue")
            return counters(path.read_text() if path.exists() else "")


def _delayed(impairment: Impairment) -> bool:
    return any(getattr(impairment, name) > 0 for name in _DELAYS)


def _refuse(way: Way, impairment: Impairment) -> None:
    """Raises EnvironmentUnfit for what only netem can do."""
    for name in UNABLE:
        if getattr(impairment, name) > 0:
            raise EnvironmentUnfit(
                f"link {way.link}: {name.removesuffix('_pct')} needs netem, which this kernel does not have "
                "(sch_netem); leave it out, or use --clock virtual"
            )
    if impairment.jitter_ms > 0 and impairment.jitter_distribution not in jitter.DISTRIBUTIONS:
        raise EnvironmentUnfit(
            f"link {way.link}: no distribution {impairment.jitter_distribution!r}; there are: "
            + ", ".join(jitter.DISTRIBUTIONS)
        )


def fill_queues(program: str = "iptables") -> None:
    """Have iptables send the present namespace's packets to the queues. Raises EnvironmentUnfit."""
    rule = [program, "-t", "raw", "-A", "PREROUTING", "-j", "NFQUEUE", "--queue-balance", f"0:{QUEUES - 1}"]
    without = "without netem in the kernel, links are shaped by NFQUEUE"
    try:
        done = subprocess.run(rule, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        needs = f"which needs the program {program}; install the package iptables"
        raise EnvironmentUnfit(f"{without}, {needs}") from error
    if done.returncode:
        problem = done.stderr.strip()
        raise EnvironmentUnfit(f"{without}, which this kernel does not have either ({problem}); use --clock virtual")
