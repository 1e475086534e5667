"""Which peer runs where, with which address, options, seed, and whom it is told of."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from random import Random
from typing import Any, get_type_hints

from harness.plan.command import CommandPlan
from harness.plan.model import PeerPlan
from harness.plan.programs import ProgramPlanner, program_of
from harness.plan.seeds import number, stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.spec.load import Document
from harness.spec.model import Overlay, PeerGroup, Spec
from harness.spec.units import duration_s, percent, rate_mbit, size_bytes
from harness.spec.wording import did_you_mean
from peers.core import Core
from peers.registry import PROGRAMS, PROTOCOLS, load
from topologies.graphs import GRAPHS

MAX_PORT_OFFSET = 100
UNIT_OF = {"_s": duration_s, "_pct": percent, "_bytes": size_bytes, "_mbit": rate_mbit}


def peer_plans(spec: Spec, document: Document, hosts: Universe, addresses: Mapping[str, str]) -> tuple[PeerPlan, ...]:
    """All peers of all overlays, in the order of the document. Raises SpecError."""
    taken: dict[str, str] = {}  # ip:port -> the peer that listens there
    peers: list[PeerPlan] = []
    for name, overlay in spec.overlays.items():
        members = _Builder(name, overlay, spec, document, hosts, addresses).build(taken)
        taken |= {peer.listen: peer.name for peer in members}
        peers.extend(members)
    return tuple(peers)


def core_of(peer: PeerPlan) -> type[Core]:
    """The class that runs this peer's protocol."""
    return load(peer.protocol, peer.role)


class _Builder:
    """Makes the peers of one overlay."""

    def __init__(
        self, name: str, overlay: Overlay, spec: Spec, document: Document, hosts: Universe, addresses: Mapping[str, str]
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
                count[host] = count.get(host, 0) + 1
                suffix = f"-{count[host]}" if count[host] > 1 else ""
                drafts.append((f"{self.name}-{host}{suffix}", host, role, group, options))
        listens = self._free_listens(drafts, taken)
        known = self._bootstraps(drafts, listens, rng)
        return [
            PeerPlan(
                name=name, overlay=self.name, protocol=self.overlay.protocol, role=role, host=host,
                listen=listens[name], bootstrap=tuple(known[name]), options=self._told(role, options, drafts, listens),
                seed=number(self.spec.seed, "peer", name), wave=self._wave(role, index), trace=self.overlay.trace,
                expected_final_state=group.expected_final_state,
                command=self._command(group, name, host, listens[name], known[name], options),
            )
            for index, (name, host, role, group, options) in enumerate(drafts)
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
    ) -> dict[str, str]:
        """The usual ports, or all of them moved up by as much as it takes to miss what other overlays have."""
        for offset in range(MAX_PORT_OFFSET):
            listens = self._listens(drafts, offset)
            clash = next(((taken[listen], listen) for listen in listens.values() if listen in taken), None)
            if clash is None:
                return listens
            if self.overlay.port:
                break
        assert clash
        message = f"{clash[1]} is already taken by {clash[0]}; give this overlay another 'port'"
        raise self.document.fail((*self.place, "port"), message)

    def _listens(
        self, drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]], offset: int
    ) -> dict[str, str]:
        """Peers of one overlay on the same host take ports one after another."""
        used: dict[str, int] = {}
        listens = {}
        for name, host, role, _group, _options in drafts:
            base = self.overlay.port or load(self.overlay.protocol, role).default_port
            port = base + offset + used.get(host, 0)
            used[host] = used.get(host, 0) + 1
            listens[name] = f"{self.addresses[host]}:{port}"
        return listens

    def _source(self, role: str) -> str:
        """Where peers of this role get their bootstrap from; of "this or that" the first for which there is a peer."""
        first, _, second = load(self.overlay.protocol, role).bootstrap_from.partition(" or ")
        present = {group.role or self.roles[0] for group in self.overlay.peers}
        return first if not second or first.removeprefix("role:") in present else second

    def _wave(self, role: str, index: int) -> int:
        """Those whom others need come first: roles that others look for, then the first member of a mesh."""
        needs = {self._source(other) for other in self.roles}
        if f"role:{role}" in needs:
            return 0
        if self._source(role) == "members":
            return 0 if index < self.overlay.bootstraps else 1
        return 1

    def _bootstraps(
        self, drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]], listens: Mapping[str, str], rng: Random
    ) -> dict[str, list[str]]:
        known: dict[str, list[str]] = {name: [] for name, *_ in drafts}
        roles = {name: role for name, _host, role, *_ in drafts}
        mesh = [n for n, role in roles.items() if self._source(role) == "graph"]
        if mesh:
            for one, other in self._graph(len(mesh), rng):
                known[mesh[other]].append(listens[mesh[one]])  # each edge is dialled by one end: no parallel streams
        elif self.overlay.graph:
            message = f"protocol {self.overlay.protocol} finds its neighbours itself; it takes no graph"
            raise self.document.fail((*self.place, "graph"), message)
        for index, name in enumerate(known):
            source = self._source(roles[name])
            if source == "members":
                earlier = [other for other in list(known)[: max(index, 0)] if other != name]
                known[name] = [listens[other] for other in earlier[: self.overlay.bootstraps]]
            elif source.startswith("role:"):
                known[name] = [listens[other] for other, role in roles.items() if role == source[5:]]
                if not known[name]:
                    message = f"role {roles[name]!r} needs at least one peer of role {source[5:]!r}"
                    raise self.document.fail((*self.place, "peers"), message)
        return known

    def _told(
        self, role: str, options: dict[str, Any], drafts: Sequence[tuple[str, str, str, PeerGroup, dict[str, Any]]],
        listens: Mapping[str, str],
    ) -> dict[str, Any]:  # fmt: skip
        """Its options, and in those that hold addresses of a role all of them, where the spec says nothing else."""
        told = {
            option: ",".join(listens[name] for name, _host, other, *_ in drafts if other == wanted)
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


def _typed(value: Any, option: Field[Any]) -> Any:
    kind = type(option.default) if option.default is not MISSING and option.default is not None else str
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"found {value!r}, but this option is {_article(kind)}")
    return value


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(kind, kind.__name__)


def check_parameters(function: Any, given: Mapping[str, Any], document: Document, place: tuple[str | int, ...]) -> None:
    """Raises SpecError for parameters that a generator does not have, or that it needs and does not get."""
    known = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name in given:
        if name not in known:
            message = f"{function.__name__} has no parameter {name!r}{did_you_mean(name, known)}"
            raise document.fail((*place, name), message)
    missing = [n for n, p in known.items() if p.default is inspect.Parameter.empty and n not in given]
    if missing:
        message = f"{function.__name__} needs {', '.join(missing)}; it takes {describe(function)}"
        raise document.fail(place, message)


def describe(function: Any) -> str:
    """ "degree: int, seed: int = 1": the keyword parameters of a generator."""
    hints = get_type_hints(function)
    parts = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
            hint = hints.get(name)
            parts.append(f"{name}: {getattr(hint, '__name__', str(hint))}{default}")
    return ", ".join(parts)
