"""Partitions: packets dropped by source and destination where they enter any wire, before everything else.

Each block is a table of its own in the wires' namespace (bridge family), so that taking one back touches no other.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

from harness.emulation.namespaces import Namespaces
from harness.emulation.wires import PLACE
from harness.errors import EmulationError, EnvironmentUnfit
from harness.faults import Block

# Before the bridge shows packets to iptables (NF_BR_PRI_BRNF, 0), which would delay them first.
_TABLE = """table bridge block{number} {{
  set sources {{ type ipv4_addr; elements = {{ {sources} }} }}
  set destinations {{ type ipv4_addr; elements = {{ {destinations} }} }}
  counter dropped {{ }}
  chain entering {{
    type filter hook prerouting priority -300; policy accept;
    ip saddr @sources ip daddr @destinations counter name dropped drop
  }}
}}
"""


class Blocks:
    """The drops that hold now."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self._numbers: dict[str, int] = {}  # rule name -> number of its table: nft's names are narrower than ours
        self._next = 0
        self._dropped: dict[str, int] = {}  # by rules that are gone

    def try_out(self) -> None:
        """Have nft and the kernel check a block that is not put in place. Raises EnvironmentUnfit."""
        text = _TABLE.format(number=0, sources="192.0.2.1", destinations="192.0.2.2")
        try:
            self._nft(["--check", "-f", "-"], text)
        except EmulationError as error:
            raise EnvironmentUnfit(f"this kernel cannot make partitions: {error}") from error

    def add(self, blocks: Sequence[Block]) -> None:
        """All at once, in one transaction. Raises EmulationError."""
        fresh: dict[str, int] = {}
        text = ""
        for block in blocks:
            if block.rule in self._numbers or block.rule in fresh:
                raise EmulationError(f"block {block.rule!r} holds already")
            self._next += 1
            fresh[block.rule] = self._next
            sources, destinations = (", ".join(dict.fromkeys(side)) for side in (block.sources, block.destinations))
            text += _TABLE.format(number=self._next, sources=sources, destinations=destinations)
        self._nft(["-f", "-"], text)
        self._numbers.update(fresh)

    def remove(self, rules: Sequence[str]) -> None:
        """Exactly these, in one transaction. Raises EmulationError."""
        unknown = [rule for rule in rules if rule not in self._numbers]
        if unknown:
            raise EmulationError(f"there is no block {unknown[0]!r} to take back")
        counted = self.counters()
        self._nft(["-f", "-"], "".join(f"delete table bridge block{self._numbers[rule]}\n" for rule in rules))
        for rule in rules:
            self._dropped[rule] = counted[rule]
            del self._numbers[rule]

    def counters(self) -> dict[str, int]:
        """Packets dropped so far, by rule."""
        found = dict(self._dropped)
        if self._numbers:
            text = self._nft(["list", "counters"])
            tables = re.findall(r"table bridge block(\d+) \{\s*counter dropped \{\s*packets (\d+)", text)
            counted = {int(number): int(packets) for number, packets in tables}
            for rule, number in self._numbers.items():
                found[rule] = found.get(rule, 0) + counted[number]
        return found

    def _nft(self, arguments: list[str], text: str | None = None) -> str:
        try:
            with self.namespaces.inside(PLACE):
                done = subprocess.run(["nft", *arguments], input=text, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise EnvironmentUnfit("partitions need the program nft; install the package nftables") from error
        if done.returncode:
            raise EmulationError(f"nft refused a block: {done.stderr.strip()}")
        return done.stdout
