"""Which nodes have addresses of which family, and what follows for probes: who can be reached over which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.faults import Check, CountCheck, DelayCheck, Family, Fault, PathCheck, RerouteCheck
from harness.plan.addressing import FAMILIES, family_of
from harness.plan.model import ProbePair
from harness.plan.seeds import stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.spec.load import Document
from harness.spec.model import Spec
from topologies.model import Topology

Addresses = Mapping[str, tuple[str, ...]]  # of each node, one of each family that it has


def lacking(spec: Spec, document: Document, topology: Topology, hosts: Universe) -> dict[Family, tuple[str, ...]]:
    """Hosts without addresses of a family. Raises SpecError."""
    without: dict[Family, tuple[str, ...]] = {}
    asked: tuple[tuple[Family, str, list[str]], ...] = (
        ("ipv6", "ipv4_only", spec.network.ipv4_only),
        ("ipv4", "ipv6_only", spec.network.ipv6_only),
    )
    for family, key, selectors in asked:
        place = ("network", key)
        try:
            chosen = select(selectors, hosts, stream(spec.seed, key)) if selectors else ()
        except SelectionError as error:
            raise document.fail(place, str(error)) from error
        for host in chosen:
            if host in without.get("ipv6", ()):
                raise document.fail(place, f"host {host!r} would have no address at all: it is 'ipv4_only' as well")
            if len(list(topology.links_of(host))) > 1:
                raise document.fail(place, f"host {host!r} has several links and forwards for others: it needs both")
        without[family] = chosen
    return without


def common(addresses: Addresses, source: str, target: str) -> tuple[Family, ...]:
    """Families by which the two can talk."""
    theirs = {family_of(address) for address in addresses[target]}
    return tuple(family for family in map(family_of, addresses[source]) if family in theirs)


def every(addresses: Addresses, hosts: Sequence[str]) -> tuple[str, ...]:
    """All addresses of these hosts."""
    return tuple(address for host in hosts for address in addresses[host])


def owners(addresses: Addresses) -> dict[str, str]:
    """The node of each address."""
    return {address: node for node, some in addresses.items() for address in some}


def probes_by_family(pairs: Sequence[ProbePair], addresses: Addresses) -> tuple[ProbePair, ...]:
    """In a network of both, each pair once by each family that the two have in common."""
    if not _both(addresses):
        return tuple(pairs)
    return tuple(
        replace(pair, family=family) for pair in pairs for family in common(addresses, pair.source, pair.target)
    )


def checks_by_family(fault: Fault, addresses: Addresses) -> Fault:
    """In a network of both, what a fault did is looked for by both. How long routes need is measured by one."""
    if not _both(addresses):
        return fault

    def each(checks: Sequence[Check]) -> tuple[Check, ...]:
        found: list[Check] = []
        for check in checks:
            if isinstance(check, (PathCheck, DelayCheck, CountCheck)):
                found += [replace(check, family=f) for f in common(addresses, check.source, check.target)]
            elif isinstance(check, RerouteCheck):
                found.append(replace(check, family=common(addresses, check.source, check.target)[0]))
            else:
                found.append(check)
        return tuple(found)

    return replace(fault, apply_checks=each(fault.apply_checks), undo_checks=each(fault.undo_checks))


def _both(addresses: Addresses) -> bool:
    return {family_of(address) for some in addresses.values() for address in some} == set(FAMILIES["dual"])
