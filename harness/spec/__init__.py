"""YAML -> Spec: form only. What names mean (hosts, peers, links) is decided by the planner."""

from harness.spec.load import load_spec
from harness.spec.model import Spec

__all__ = ["Spec", "load_spec"]
