"""Who can be reached through gateways, found out by packets before peers start: mapping and filtering (RFC 5780).

Two hosts outside of a gateway, with two ports each, and one inside:

    mapping     the inside host sends from one port to three of the outside endpoints, and these compare whom they see
    filtering   it sends to one outside endpoint, and all answer to whom that one saw: whose answers come in?
    strangers   somebody outside sends to each peer's own port, at the address that others are told, and dials it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.engine import Endpoint, Engine, Seen, Shot
from harness.plan.chains import chains, lets_in, seen_as
from harness.plan.model import GatewayPlan, Plan

COPIES = 5  # of each datagram, for links that lose some
WAIT_S = 2.0
NEAR_PORT, FAR_PORT = 3478, 3479  # RFC 5780: a server listens on two ports of two addresses
MAPPED_PORT, FILTERED_PORT = 39_001, 39_002
DIAL_PORT = 39_100

INDEPENDENT, ADDRESS, ADDRESS_AND_PORT, NONE = "endpoint-independent", "address", "address-and-port", "none"
MAPPING = {
    "full_cone": INDEPENDENT, "address_restricted": INDEPENDENT, "port_restricted": INDEPENDENT,
    "symmetric": ADDRESS_AND_PORT, "firewall": NONE,
}  # fmt: skip
FILTERING = {
    "full_cone": INDEPENDENT, "address_restricted": ADDRESS, "port_restricted": ADDRESS_AND_PORT,
    "symmetric": ADDRESS_AND_PORT, "firewall": ADDRESS_AND_PORT,
}  # fmt: skip
_LAXEST_FIRST = (INDEPENDENT, ADDRESS, ADDRESS_AND_PORT)


class Behaviour(NamedTuple):
    mapping: str
    filtering: str


def planned(chain: Sequence[GatewayPlan]) -> Behaviour:
    """Of gateways behind one another: the strictest filters, and one that maps anew is enough."""
    mappings = [MAPPING[gateway.kind] for gateway in chain]
    told = [mapping for mapping in mappings if mapping != NONE]
    mapping = NONE if not told else ADDRESS_AND_PORT if ADDRESS_AND_PORT in told else INDEPENDENT
    return Behaviour(mapping, max((FILTERING[gateway.kind] for gateway in chain), key=_LAXEST_FIRST.index))


class Survey:
    """Rounds of packets, and what follows from them: rows for the journal."""

    def __init__(self, plan: Plan, engine: Engine) -> None:
        self.plan, self.engine = plan, engine
        self.chains = chains(plan.gateways)
        self.behind = {node.name: self.chains[node.name] for node in plan.nodes if node.name in self.chains}
        hosts = [node.name for node in plan.nodes if node.kind == "host"]
        self.outside = [host for host in hosts if host not in self.behind]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each peer (`what` "peer") and for one host of each chain ("gateway").

        Keys: what, name, gateways, kind, and planned and measured: mapping and filtering, or udp and tcp. Raises
        EmulationError.
        """
        if not self.plan.gateways:
            return []
        found = [*self._strangers(), *self._behaviour()]
        self.engine.exchange([], [], 0, 0.0)
        return found

    def _name(self, chain: Sequence[GatewayPlan]) -> dict[str, Any]:
        kind = chain[0].preset if chain and chain[0].preset else "+".join(g.kind for g in chain) or "open"
        return {"gateways": [gateway.node for gateway in chain], "kind": kind}

    # ---- strangers ----

    def _strangers(self) -> list[dict[str, Any]]:
        listeners, shots = [], []
        for number, peer in enumerate(self.plan.peers):
            own, _, port = peer.listen.rpartition(":")
            stranger = next(host for host in self.outside if host != peer.host)
            to = seen_as(peer.host, stranger, self.chains) or own, int(port)
            listeners += [Endpoint(peer.host, int(port), protocol) for protocol in ("udp", "tcp")]
            shots += [
                Shot(Endpoint(stranger, NEAR_PORT, "udp"), to),
                Shot(Endpoint(stranger, DIAL_PORT + number, "tcp"), to),
            ]
        seen = {s.shot: s for s in self.engine.exchange(listeners, shots, COPIES, WAIT_S)}
        rows = []
        for number, peer in enumerate(self.plan.peers):
            chain = self.chains.get(peer.host, ())
            came = [(s := seen.get(2 * number + place)) is not None and s.at.host == peer.host for place in (0, 1)]
            wanted = lets_in(chain, peer)
            rows.append({
                "what": "peer", "name": peer.name, **self._name(chain), "planned": {"udp": wanted, "tcp": wanted},
                "measured": {"udp": came[0], "tcp": came[1]},
            })  # fmt: skip
        return rows

    # ---- mapping and filtering ----

    def _behaviour(self) -> list[dict[str, Any]]:
        hosts: dict[tuple[str, ...], str] = {}  # one for each chain of gateways
        for host, chain in self.behind.items():
            if self.plan.node[host].kind == "host":
                hosts.setdefault(tuple(gateway.node for gateway in chain), host)
        one, other = self.outside[:2]
        ends = [Endpoint(one, NEAR_PORT, "udp"), Endpoint(one, FAR_PORT, "udp"), Endpoint(other, NEAR_PORT, "udp")]
        to = [(str(self.plan.node[end.host].address), end.port) for end in ends]
        shots = [
            shot
            for host in hosts.values()
            for shot in (
                *(Shot(Endpoint(host, MAPPED_PORT, "udp"), there) for there in to),
                Shot(Endpoint(host, FILTERED_PORT, "udp"), to[0]),
            )
        ]
        seen = {s.shot: s for s in self.engine.exchange(ends, shots, COPIES, WAIT_S)}
        mappings = {host: self._mapping(host, [seen.get(4 * n + i) for i in range(3)]) for n, host in _numbered(hosts)}
        asked = {host: seen[4 * n + 3].sender for n, host in _numbered(hosts) if 4 * n + 3 in seen}
        answers = [Shot(end, sender) for sender in asked.values() for end in ends]
        heard = {s.shot: s.at for s in self.engine.exchange([], answers, COPIES, WAIT_S)}
        filtering = {}
        for number, host in enumerate(asked):
            came = [heard.get(3 * number + place) == Endpoint(host, FILTERED_PORT, "udp") for place in range(3)]
            filtering[host] = _filtering(came)
        return [
            {
                "what": "gateway", "name": host, **self._name(self.behind[host]),
                "planned": planned(self.behind[host])._asdict(),
                "measured": Behaviour(mappings[host], filtering.get(host, "nothing comes out"))._asdict(),
            }
            for host in hosts.values()
        ]  # fmt: skip

    def _mapping(self, host: str, seen: Sequence[Seen | None]) -> str:
        senders = [s.sender for s in seen if s is not None]
        if len(senders) < 3:
            return "nothing comes out"
        if senders[0] == (self.plan.node[host].address, MAPPED_PORT):
            return NONE
        if len(set(senders)) == 1:
            return INDEPENDENT
        return ADDRESS if senders[0] == senders[1] else ADDRESS_AND_PORT


def _numbered(hosts: dict[tuple[str, ...], str]) -> list[tuple[int, str]]:
    return list(enumerate(hosts.values()))


def _filtering(came: Sequence[bool]) -> str:
    """Of answers from the endpoint that was spoken to, from another port of the same host, and from another host."""
    if not came[0]:
        return "nothing comes in"
    if came[2]:
        return INDEPENDENT
    return ADDRESS if came[1] else ADDRESS_AND_PORT
