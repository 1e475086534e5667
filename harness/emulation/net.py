"""The network as Mininet knows it: `net.get("h1").cmd("ip addr")`, `net.links`, `net.pingAll()`, `CLI(net)`.

Nodes and links are Mininet's own classes; what they would do by one shell command after another has been done by
netlink before. A node's shell starts when someone asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import mininet.link
import mininet.net
import mininet.node

from harness.emulation.namespaces import Namespaces
from harness.plan.model import NodePlan, Plan

Inside = Callable[[], AbstractContextManager[None]]


class LazyShell:
    """Mixed into Mininet's nodes: the namespace is there already, the shell comes with its first use."""

    inside: Inside
    shell: Any
    _pid: int | None = None

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802 - Mininet's name
        """Called by Mininet when a node is made: nothing yet."""

    @property
    def pid(self) -> int:
        """A process in the node's namespace: its shell."""
        self.open_shell()
        assert self._pid is not None
        return self._pid

    @pid.setter
    def pid(self, value: int | None) -> None:
        self._pid = value

    def open_shell(self) -> None:
        """Start the shell unless it runs."""
        if self.shell is None:
            with self.inside():
                self.inNamespace = False  # do not have mnexec make another namespace
                try:
                    mininet.node.Node.startShell(self)
                finally:
                    self.inNamespace = True

    def sendCmd(self, *words: Any, **options: Any) -> Any:  # noqa: N802
        self.open_shell()
        return super().sendCmd(*words, **options)  # type: ignore[misc]

    def cmd(self, *words: Any, **options: Any) -> Any:
        """Run a command in the node and return what it printed."""
        self.open_shell()
        return super().cmd(*words, **options)  # type: ignore[misc]

    def stop(self, deleteIntfs: bool = False) -> None:  # noqa: N803
        """Interfaces vanish with their namespace."""
        self.terminate()  # type: ignore[attr-defined]


class Host(LazyShell, mininet.node.Host):  # type: ignore[misc]
    """A host, or a router when it forwards."""

    def __init__(self, name: str, inside: Inside, forwards: bool = False, **params: Any) -> None:
        self.inside, self.forwards = inside, forwards
        super().__init__(name, **params)


class BridgeSwitch(LazyShell, mininet.node.Switch):  # type: ignore[misc]
    """A switch that works without Mininet: a Linux bridge in its namespace, or one of Open vSwitch's."""

    controlIntf = None  # noqa: N815

    def __init__(self, name: str, inside: Inside, **params: Any) -> None:
        self.inside = inside
        super().__init__(name, **params)

    def start(self, controllers: Any) -> None:
        """It forwards already."""


class WireIntf(mininet.link.Intf):  # type: ignore[misc]
    """An interface that netlink has configured."""

    def config(self, ip: str | None = None, prefix: int | None = None, **params: Any) -> dict[str, Any]:
        self.ip, self.prefixLen = ip, prefix
        return {}


class WireLink(mininet.link.Link):  # type: ignore[misc]
    """A link through the wires' namespace."""

    @classmethod
    def makeIntfPair(cls, *_names: Any, **_options: Any) -> None:  # noqa: N802
        """Made by netlink before."""

    def stop(self) -> None:
        """It vanishes with its namespaces."""


class Net(mininet.net.Mininet):  # type: ignore[misc]
    """Mininet's view of a plan whose namespaces and links are there."""

    def __init__(self, plan: Plan, namespaces: Namespaces) -> None:
        mininet.net.Mininet.inited = True  # its init() would change limits of the whole machine
        super().__init__(
            host=Host, switch=BridgeSwitch, link=WireLink, intf=WireIntf, controller=None, build=False,
            ipBase="10.0.0.0/8",
        )  # fmt: skip
        for number, node in enumerate(plan.nodes, 1):
            self._add(node, number, partial(namespaces.inside, node.name))
        for link in plan.links:
            ends = _end(plan.node[link.a], link.name, 1) | _end(plan.node[link.b], link.name, 2)
            self.addLink(link.a, link.b, cls=WireLink, **ends)
        self.built = True

    def _add(self, node: NodePlan, number: int, inside: Inside) -> None:
        if node.kind == "switch":
            self.addSwitch(node.name, inside=inside, dpid=f"{number:x}", inNamespace=True)
        else:
            self.addHost(node.name, inside=inside, forwards=node.forwards, ip=None)

    def stop_shells(self) -> None:
        """End the shells that were started."""
        for node in self.values():
            if node.shell is not None:
                node.terminate()


def _end(node: NodePlan, link: str, side: int) -> dict[str, Any]:
    """Mininet's parameters for one end of a link."""
    port, interface = next((n, i) for n, i in enumerate(node.interfaces) if i.link == link)
    ip, _, prefix = interface.addresses[0].partition("/") if interface.addresses else (None, "", "")
    return {
        f"intfName{side}": interface.name,
        f"addr{side}": interface.mac,
        f"port{side}": port,
        f"params{side}": {"ip": ip, "prefix": int(prefix) if prefix else None},
    }
