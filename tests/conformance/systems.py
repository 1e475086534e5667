"""Every registered protocol as a small overlay on ten hosts, west1 .. west5 and east1 .. east5; one line each."""

from __future__ import annotations

from typing import NamedTuple

from peers.registry import PROTOCOLS, load

REST = "all except west5"


class System(NamedTuple):
    """An overlay `it`, which hosts publish, and which ask, download and broadcast.

    A central server stands on west5: there `members` (and mostly `publishers`) are REST. `crashes` is the host whose
    peers crash and come back: one that publishes.
    """

    overlay: str
    publishers: str = "all"
    members: str = "all"
    crashes: str = "west1"


OVERLAYS: dict[str, System] = {
    "flooding": System("{protocol: flooding, peers: all, graph: {generator: random_regular, degree: 3}}"),
    "client_server": System(
        f"{{protocol: client_server, peers: [{{role: server, on: west5}}, {{role: client, on: {REST}}}]}}",
        publishers="west5",
        members=REST,
        crashes="west5",
    ),
    "napster": System(
        f"{{protocol: napster, peers: [{{role: index, on: west5}}, {{role: user, on: {REST}}}]}}", REST, REST
    ),
    "tracker": System(
        f"{{protocol: tracker, peers: [{{role: tracker, on: west5}}, {{role: client, on: {REST}}}]}}", REST, REST
    ),
    "dht": System("{protocol: dht, peers: all}"),
    "bittorrent": System(
        f"{{protocol: bittorrent, peers: [{{role: tracker, on: west5}}, {{role: peer, on: {REST}}}]}}", REST, REST
    ),
    "gossip": System("{protocol: gossip, peers: all, graph: {generator: random_regular, degree: 3}}"),
    "chain": System("{protocol: chain, peers: all, graph: {generator: random_regular, degree: 3}}"),
    "open_chain": System(
        f"{{protocol: open_chain, peers: [{{role: bootnode, on: west5}}, {{role: node, on: {REST}}}]}}", REST, REST
    ),
    "discovery": System(f"{{protocol: discovery, peers: [{{role: bootnode, on: west5}}, {{role: node, on: {REST}}}]}}"),
}

WORK = {  # what is asked of a system whose roles have the verb, always at the same moments
    "publish": "  - {publish: {copies: 1, by: PUBLISHERS}, at: 1 s}",
    "lookup": "  - {lookup: {by: MEMBERS}, from: 10 s, to: 40 s, rate: 4 /s}",
    "download": "  - {download: {by: MEMBERS}, from: 10 s, to: 40 s, count: 15}",
    "broadcast": "  - {broadcast: {by: MEMBERS, size: 500 B}, from: 10 s, to: 40 s, count: 15}",
}
ITEM_BYTES = 300_000
SPEC = """\
name: conformance
duration: 60 s
topology: {generator: regions, regions: {west: 5, east: 5}}
links:
  access: {delay: 5 ms, jitter: 1 ms, loss: LOSS}
  between: {delay: 30 ms}
overlays:
  it: OVERLAY
items: {count: 6, size: 300 kB}
workload:
WORK
faults: [FAULTS]
capture: none
"""


def verbs(protocol: str) -> list[str]:
    """What is asked of this protocol, over all its roles."""
    known = {verb for role in PROTOCOLS[protocol] for verb in load(protocol, role).verbs}
    return [verb for verb in WORK if verb in known]


def spec_of(protocol: str, faults: str = "", loss: str = "0 %") -> str:
    system = OVERLAYS[protocol]
    work = "\n".join(WORK[verb] for verb in verbs(protocol)) or "  []"
    text = SPEC.replace("WORK", work).replace("OVERLAY", system.overlay).replace("LOSS", loss)
    text = text.replace("FAULTS", faults)
    return text.replace("PUBLISHERS", system.publishers).replace("MEMBERS", system.members)
