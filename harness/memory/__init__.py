"""Engine `memory`: the same protocol cores in one process, on a discrete-event network (limits: docs/engines.md)."""

from harness.memory.engine import MemoryEngine

__all__ = ["MemoryEngine"]
