"""Which peer runs where, with which address, options, seed, and whom it is told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from random import Random
from typing import Any

from harness.faults import Family
from harness.plan.addressing import FAMILIES, family_of
from harness.plan.command import CommandPlan
from harness.plan.families import Addresses
from harness.plan.model import PeerPlan
from harness.plan.parameters import check_parameters
from harness.plan.programs import ProgramPlanner, program_of
from harness.plan.seeds import number, stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.spec.load import Document
from harness.spec.model import Overlay, PeerGroup, Spec
from harness.spec.units import duration_s, percent, rate_mbit, size_bytes
from harness.spec.wording import did_you_mean
from peers.core import Address, Core
from peers.registry import PROGRAMS, PROTOCOLS, load
from topologies.graphs import GRAPHS

MAX_PORT_OFFSET = 100
Listens = dict[str, tuple[str, ...]]  # where each peer listens: in one family, or in both
UNIT_OF = {"_s": duration_s, "_pct": percent, "_bytes": size_bytes, "_mbit": rate_mbit}


def peer_plans(spec: Spec, document: Document, hosts: Universe, addresses: Addresses) -> tuple[PeerPlan, ...]:
    """All peers of all overlays, in the order of the document. Raises SpecError."""
    taken: dict[str, str] = {}  # ip:port -> the peer that listens there
    peers: list[PeerPlan] = []
    for name, overlay in spec.overlays.items():
        members = _Builder(name, overlay, spec, document, hosts, addresses).build(taken)
        taken |= {listen: peer.name for peer in members for listen in peer.listens}
        peers.extend(members)
    return tuple(peers)


def core_of(peer: PeerPlan) -> type[Core]:
    """The class that runs this peer's protocol."""
    return load(peer.protocol, peer.role)


class _Builder:
    """Makes the peers of one overlay."""

    def __init__(
        self, name: str, overlay: Overlay, spec: Spec, document: Document, hosts: Universe, addresses: Addresses
    ) -> None:
        self.name, self.overlay, self.spec, self.document = name, overlay, spec, document
        self.hosts, self.addresses = hosts, addresses
        self.place: tuple[str | int, ...] = ("overlays", name)
        known = PROTOCOLS | PROGRAMS
        if overlay.protocol not in known:
            message = f"there is no protocol {overlay.protocol!r}{did_you_mean(overlay.protocol, known)}"
            raise document.fail((*self.place, "protocol"), message)
        self.roles = list(known[overlay.protocol])

    def build(self, taken: Mapping[str, str]) -> list[PeerPlan]:
        rng = stream(self.spec.seed, "overlay", self.name)
        drafts: list[tuple[str, str, str, PeerGroup, dict[str, Any]]] = []  # name, host, role, group, options
        count: dict[str, int] = {}
        for index, group in enumerate(self.overlay.peers):
            place = (*self.place, "peers", index)
            role = group.role or self.roles[0]
            if role not in self.roles:
                message = f"protocol {self.overlay.protocol} has no role {role!r}{did_you_mean(role, self.roles)}"
                raise self.document.fail((*place, "role"), message)
            options = self._options(role, group, place) if group.command is None else {}
            if group.command is not None and group.options:
                message = "a program takes no options of the protocol; give it 'arguments'"
                raise self.document.fail((*place, "options"), message)
            try:
                chosen = select(group.on, self.hosts, rng)
            except SelectionError as error:
                raise self.document.fail((*place, "on"), str(error)) from error
            for host in chosen:
                self._refuse_unreachable(host, role, group, place)
                count[host] = count.get(host, 0) + 1
                suffix = f"-{count[host]}" if count[host] > 1 else ""
                drafts.append((f"{self.name}-{host}{suffix}", host, role, group, options))
        listens = self._free_listens(drafts, taken)
        known = self._bootstraps(drafts, listens, rng)
        founders = self._founders(listens)
        return [
            PeerPlan(
                name=name, overlay=self.name, protocol=self.overlay.protocol, role=role, host=host,
                listen=listens[name][0], listen6="".join(listens[name][1:]), bootstrap=tuple(known[name]),
                options=self._told(role, options, drafts, listens),
                seed=number(self.spec.seed, "peer", name), wave=self._wave(role, name in founders),
                trace=self.overlay.trace,
                expected_final_state=group.expected_final_state,
                command=self._command(group, name, host, listens[name][0], known[name], options),
            )
            for name, host, role, group, options in drafts
        ]  # fmt: skip

    def _command(
        self, group: PeerGroup, name: str, host: str, listen: str, bootstrap: Sequence[str], options: Mapping[str, Any]
    ) -> CommandPlan | None:
        command = group.command
        if command is None and self.overlay.protocol in PROGRAMS:
            command = program_of(self.overlay.protocol, bootstrap, options)
        if command is None:
            return None
        place = (*self.place, "peers", next(i for i, other in enumerate(self.overlay.peers) if other is group))
        seed = number(self.spec.seed, "peer", name)
        return ProgramPlanner(self.spec, self.document, place, name, host, listen, bootstrap, seed).plan(command)

    def _free_listens(
        self, drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]], taken: Mapping[str, str]
    ) -> Listens:
        """The usual ports, or all of them moved up by as much as it takes to miss what other overlays have."""
        for offset in range(MAX_PORT_OFFSET):
            listens = self._listens(drafts, offset)
            clash = next(((taken[one], one) for some in listens.values() for one in some if one in taken), None)
            if clash is None:
                return listens
            if self.overlay.port:
                break
        assert clash
        message = f"{clash[1]} is already taken by {clash[0]}; give this overlay another 'port'"
        raise self.document.fail((*self.place, "port"), message)

    def _listens(self, drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]], offset: int) -> Listens:
        """Peers of one overlay on the same host take ports one after another."""
        used: dict[str, int] = {}
        listens = {}
        for name, host, role, group, _options in drafts:
            base = self.overlay.port or load(self.overlay.protocol, role).default_port
            port = base + offset + used.get(host, 0)
            used[host] = used.get(host, 0) + 1
            both = load(self.overlay.protocol, role).both_families and group.command is None
            addresses = self.addresses[host] if both else self.addresses[host][:1]
            listens[name] = tuple(str(Address(address, port)) for address in addresses)
        return listens

    def _refuse_unreachable(self, host: str, role: str, group: PeerGroup, place: tuple[str | int, ...]) -> None:
        """Raises SpecError for a host without an address of a family that its peer could use."""
        core, protocol = load(self.overlay.protocol, role), self.overlay.protocol
        if family_of(self.addresses[host][0]) == "ipv4" or core.both_families:
            return
        if core.no_ipv6:
            message = f"protocol {protocol} cannot be used over IPv6, and host {host!r} has no other: {core.no_ipv6}"
            raise self.document.fail((*place, "on"), message)
        if self.spec.network.addresses == "dual" and group.command is None:
            message = (
                f"peers of protocol {protocol} use one family, in a network of both IPv4, and host {host!r} has none; "
                "choose other hosts, or 'addresses: ipv6'"
            )
            raise self.document.fail((*place, "on"), message)

    def _founders(self, listens: Listens) -> set[str]:
        """Those whom others are told of, in each family."""
        found: set[str] = set()
        for family in FAMILIES["dual"]:
            found.update([name for name, some in listens.items() if _of(family, some)][: self.overlay.bootstraps])
        return found

    def _source(self, role: str) -> str:
        """Where peers of this role get their bootstrap from; of "this or that" the first for which there is a peer."""
        first, _, second = load(self.overlay.protocol, role).bootstrap_from.partition(" or ")
        present = {group.role or self.roles[0] for group in self.overlay.peers}
        return first if not second or present.intersection(_roles_of(first)) else second

    def _wave(self, role: str, founder: bool) -> int:
        """Those whom others need come first: roles that others look for, then the first member of a mesh."""
        if any(role in _roles_of(self._source(other)) for other in self.roles):
            return 0
        if self._source(role) == "members":
            return 0 if founder else 1
        return 1

    def _bootstraps(
        self, drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]], listens: Listens, rng: Random
    ) -> dict[str, list[str]]:
        known: dict[str, list[str]] = {name: [] for name, *_ in drafts}
        roles = {name: role for name, _host, role, *_ in drafts}
        mesh = [n for n, role in roles.items() if self._source(role) == "graph"]
        if mesh:
            for one, other in self._graph(len(mesh), rng):
                known[mesh[other]].append(listens[mesh[one]][0])  # each edge is dialled by one end: no parallel streams
        elif self.overlay.graph:
            message = f"protocol {self.overlay.protocol} finds its neighbours itself; it takes no graph"
            raise self.document.fail((*self.place, "graph"), message)
        for index, name in enumerate(known):
            source = self._source(roles[name])
            if source == "members":
                earlier = [other for other in list(known)[: max(index, 0)] if other != name]
                known[name] = _reached(listens[name], [listens[other] for other in earlier], self.overlay.bootstraps)
            elif source.startswith("role:"):
                others = [listens[other] for other, role in roles.items() if role in _roles_of(source)]
                known[name] = _reached(listens[name], others, len(others))
                if not known[name]:
                    common = f", and {name} has no family of addresses in common with any" if others else ""
                    wanted = " or ".join(repr(role) for role in _roles_of(source))
                    message = f"role {roles[name]!r} needs at least one peer of role {wanted}{common}"
                    raise self.document.fail((*self.place, "peers"), message)
        return known

    def _told(
        self, role: str, options: dict[str, Any], drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]],
        listens: Listens,
    ) -> dict[str, Any]:  # fmt: skip
        """Its options, and in those that hold addresses of a role all of them, where the spec says nothing else."""
        told = {
            option: ",".join(one for name, _host, other, *_ in drafts if other == wanted for one in listens[name])
            for option, wanted in load(self.overlay.protocol, role).told_of.items()
        }
        return {**told, **options}

    def _graph(self, count: int, rng: Random) -> list[tuple[int, int]]:
        graph = self.overlay.graph
        place = (*self.place, "graph")
        if graph is None:
            generator, parameters = "random_regular", {"degree": min(4, count - 1)}
        else:
            generator, parameters = graph.generator, dict(graph.model_extra or {})
        if generator not in GRAPHS:
            message = f"there is no overlay graph {generator!r}{did_you_mean(generator, GRAPHS)}"
            raise self.document.fail((*place, "generator"), message)
        check_parameters(GRAPHS[generator], parameters, self.document, place)
        try:
            return list(GRAPHS[generator](rng, count, **parameters))
        except (ValueError, TypeError) as error:
            raise self.document.fail(place, str(error)) from error

    def _options(self, role: str, group: PeerGroup, place: tuple[str | int, ...]) -> dict[str, Any]:
        """Options of the overlay, then of the group; those of the overlay may be for one of its roles only."""
        own = {item.name: item for item in fields(load(self.overlay.protocol, role).Options)}
        every = {item.name: item for other in self.roles for item in fields(load(self.overlay.protocol, other).Options)}
        shared = self._resolve(self.overlay.options, every, (*self.place, "options"))
        mine = self._resolve(group.options, own, (*place, "options"))
        options = {**{key: value for key, value in shared.items() if key in own}, **mine}
        try:
            load(self.overlay.protocol, role).Options(**options)
        except ValueError as error:
            where = (*place, "options") if group.options else (*self.place, "options")
            raise self.document.fail(where, str(error)) from error
        return options

    def _resolve(
        self, given: Mapping[str, Any], known: Mapping[str, Field[Any]], place: tuple[str | int, ...]
    ) -> dict[str, Any]:
        resolved = {}
        for key, value in given.items():
            name, parse = next(
                ((key + unit, parse) for unit, parse in UNIT_OF.items() if key + unit in known), (key, None)
            )
            if name not in known:
                message = f"protocol {self.overlay.protocol} has no option {key!r}{did_you_mean(key, known)}"
                raise self.document.fail((*place, key), message)
            try:
                resolved[name] = parse(value) if parse else _typed(value, known[name])
            except ValueError as error:
                raise self.document.fail((*place, key), str(error)) from error
        return resolved


def _roles_of(source: str) -> list[str]:
    """Of "role:one,other"; none of other sources."""
    return source[5:].split(",") if source.startswith("role:") else []


def _of(family: Family, listens: Sequence[str]) -> list[str]:
    return [listen for listen in listens if family_of(listen) == family]


def _reached(own: Sequence[str], others: Sequence[Sequence[str]], most: int) -> list[str]:
    """In each family that a peer has, where the first of the others listen."""
    return [
        listen for one in own for listen in [there for some in others for there in _of(family_of(one), some)][:most]
    ]


def _typed(value: Any, option: Field[Any]) -> Any:
    kind = type(option.default) if option.default is not MISSING and option.default is not None else str
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"found {value!r}, but this option is {_article(kind)}")
    return value


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(kind, kind.__name__)
