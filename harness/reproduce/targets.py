"""All targets, in the order of the table. To add one: a module with TARGET, and a line here."""

from __future__ import annotations

from importlib import import_module

from harness.reproduce.model import Target

MODULES = {
    "T1": "t01_flooding_cost",
    "T2": "t02_ttl_horizon",
}


def load(ident: str) -> Target:
    """Raises KeyError."""
    target: Target = import_module(f"harness.reproduce.{MODULES[ident]}").TARGET
    return target
