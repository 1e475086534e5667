"""Which kind of lookup a node's options ask for."""

from __future__ import annotations

from peers.dht.chains import Chains
from peers.dht.disjoint import DisjointLookup
from peers.dht.lookup import Lookup
from peers.dht.options import DhtOptions
from peers.wire.krpc import NodeInfo


def lookup_for(target: int, own: NodeInfo, options: DhtOptions, upkeep: bool = False) -> Lookup:
    """For a user who looks something up, or for the `upkeep` of tables and of what is published.

    Without second choices the latter is plain, so that the tables are those of any network.
    """
    if not options.second_choices:
        return (
            Lookup(target, options.k, options.alpha, own) if upkeep else Chains(target, options.k, own, options.paths)
        )
    if options.paths > 1:
        return DisjointLookup(target, options.k, options.alpha, own, options.paths)
    return Lookup(target, options.k, options.alpha, own)
