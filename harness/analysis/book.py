"""Who is who: from addresses on the wire to the peers and hosts of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from harness.plan.chains import outside_listens
from harness.plan.model import Plan


class Book:
    """Looks up peers and hosts by address."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_listen: dict[tuple[str, str], str] = {}
        by_host: dict[tuple[str, str], list[str]] = {}
        for peer in plan.peers:
            for listen in peer.listens:
                self._by_listen[peer.overlay, listen] = peer.name
                by_host.setdefault((peer.overlay, listen.rpartition(":")[0]), []).append(peer.name)
        shared: dict[tuple[str, str], list[str]] = {}  # at a gateway's address: who is meant, is known if one alone is
        for name, listens in outside_listens(plan).items():
            for listen in listens:
                overlay = plan.peer[name].overlay
                shared.setdefault((overlay, listen), []).append(name)
                by_host.setdefault((overlay, listen.rpartition(":")[0]), []).append(name)
        self._by_listen |= {key: names[0] for key, names in shared.items() if len(names) == 1}
        self._alone = {key: names[0] for key, names in by_host.items() if len(names) == 1}

    def peer_at(self, overlay: str, address: str | None) -> str:
        """The peer that listens there, or the only one of the overlay on that host (a stream from a passing port)."""
        if not address:
            return ""
        exact = self._by_listen.get((overlay, address))
        return exact or self._alone.get((overlay, address.rpartition(":")[0]), "")

    @cached_property
    def host_at(self) -> Mapping[str, str]:
        """Host or router by address, those of its interfaces included."""
        hosts: dict[str, str] = {}
        for node in self._plan.nodes:
            for interface in node.interfaces:
                for address in interface.addresses:
                    hosts.setdefault(address.partition("/")[0], node.name)
            hosts |= dict.fromkeys(node.addresses, node.name)
        return hosts

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        return tuple(node.name for node in self._plan.nodes if node.kind == "host")

    @cached_property
    def region_of(self) -> Mapping[str, str]:
        """First label of each host, "" without one."""
        return {node.name: (node.labels[0] if node.labels else "") for node in self._plan.nodes}
