"""All targets, in the order of the table. To add one: a module with TARGET, and a line here."""

from __future__ import annotations

from importlib import import_module

from harness.reproduce.model import Target

MODULES = {
    "T1": "t01_flooding_cost",
    "T2": "t02_ttl_horizon",
    "T3": "t03_rumor_mongering",
    "T4": "t04_fanout_threshold",
    "T5": "t05_push_rounds",
    "T6": "t06_distribution_time",
    "T7": "t07_piece_selection",
    "T8": "t08_kademlia_hops",
    "T9": "t09_walk_and_ring",
    "T10": "t10_replication",
    "T11": "t11_relay_cost",
    "T11B": "t11b_gossip_sybils",
    "T12": "t12_error_and_attack",
    "T13": "t13_eclipse_slots",
    "T14": "t14_disjoint_paths",
    "T15": "t15_block_propagation",
    "T16": "t16_steady_state",
    "T17": "t17_churn",
    "T18": "t18_pollution",
}


def load(ident: str) -> Target:
    """Raises KeyError."""
    target: Target = import_module(f"harness.reproduce.{MODULES[ident]}").TARGET
    return target
