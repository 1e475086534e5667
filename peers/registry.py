"""Every protocol and its roles; classes are imported only when wanted. To add a protocol: one file, one line here."""

from __future__ import annotations

from importlib import import_module

from peers.core import Core

# protocol -> role -> "module:Class"; the first role is the one meant when none is named
PROTOCOLS: dict[str, dict[str, str]] = {
    "flooding": {
        "servent": "peers.flooding:Servent",
        "polluter": "peers.flooding.adversaries:Polluter",
        "poisoner": "peers.flooding.adversaries:Poisoner",
        "withholder": "peers.flooding.adversaries:Withholder",
    },
    "client_server": {
        "client": "peers.client_server:Client",
        "server": "peers.client_server:Server",
        "withholder": "peers.client_server.adversaries:Withholder",
    },
    "napster": {
        "user": "peers.napster:User",
        "index": "peers.napster:Index",
        "polluter": "peers.napster.adversaries:Polluter",
        "withholder": "peers.napster.adversaries:Withholder",
        "poisoner": "peers.napster.adversaries:Poisoner",
    },
    "tracker": {
        "tracker": "peers.tracker:Tracker",
        "client": "peers.tracker:Client",
        "poisoner": "peers.tracker.poisoner:Poisoner",
    },
    "dht": {"node": "peers.dht:Node", "adversary": "peers.dht.adversary:Adversary"},
    "bittorrent": {
        "peer": "peers.bittorrent.peer:Peer",
        "tracker": "peers.bittorrent.tracker:Tracker",
        "polluter": "peers.bittorrent.adversaries:Polluter",
        "free_rider": "peers.bittorrent.adversaries:FreeRider",
        "withholder": "peers.bittorrent.adversaries:Withholder",
        "poisoner": "peers.bittorrent.poisoner:Poisoner",
    },
    "gossip": {
        "peer": "peers.gossip:Peer",
        "member": "peers.gossip:Member",
        "sybil": "peers.gossip.sybil:Sybil",
    },
    "chain": {"node": "peers.chain:Node"},
    "open_chain": {
        "node": "peers.chain.open:Node",
        "bootnode": "peers.chain.open:Bootnode",
        "victim": "peers.chain.open:Victim",
        "attacker": "peers.chain.forger:Forger",
    },
    "discovery": {
        "node": "peers.discovery:Node",
        "bootnode": "peers.discovery:Bootnode",
        "victim": "peers.discovery:Victim",
        "attacker": "peers.discovery:Attacker",
    },
}

# the same for protocols that only programs of others speak here: the engines start those (harness/plan/programs.py)
PROGRAMS: dict[str, dict[str, str]] = {"libp2p": {"peer": "peers.libp2p:Peer"}}


def roles(protocol: str) -> tuple[str, ...]:
    """The roles of a protocol, the default one first. Raises KeyError."""
    return tuple(PROTOCOLS[protocol])


def load(protocol: str, role: str) -> type[Core]:
    """The class that plays this role. Raises KeyError."""
    module, _, name = (PROTOCOLS.get(protocol) or PROGRAMS[protocol])[role].partition(":")
    core: type[Core] = getattr(import_module(module), name)
    return core
