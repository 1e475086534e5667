"""Partitions: packets dropped by source and destination where they enter any wire, before everything else.

Each block is a table of its own in the wires' namespace (bridge family), so that taking one back touches no other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.emulation.namespaces import Namespaces
from harness.emulation.nft import nft
from harness.emulation.wires import PLACE
from harness.errors import EmulationError, EnvironmentUnfit
from harness.faults import Block
from harness.plan.addressing import family_of

# Before the bridge shows packets to iptables (NF_BR_PRI_BRNF, 0), which would delay them first.
_TABLE = """table bridge block{number} {{
{sets}  counter dropped {{ }}
  chain entering {{
    type filter hook prerouting priority -300; policy accept;
{rules}  }}
}}
"""
_SET = "  set {ip}_{side} {{ type {family}_addr; elements = {{ {addresses} }} }}\n"
_RULE = "    {ip} saddr @{ip}_sources {ip} daddr @{ip}_destinations counter name dropped drop\n"


class Blocks:
    """The drops that hold now."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self._numbers: dict[str, int] = {}  # rule name -> number of its table: nft's names are narrower than ours
        self._next = 0
        self._dropped: dict[str, int] = {}  # by rules that are gone

    def try_out(self) -> None:
        """Have nft and the kernel check a block that is not put in place. Raises EnvironmentUnfit."""
        text = _table(0, Block("", ("192.0.2.1", "fd00::1"), ("192.0.2.2", "fd00::2")))
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
            text += _table(self._next, block)
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
        with self.namespaces.inside(PLACE):
            return nft(
                arguments, text, users="partitions", refused=lambda why: EmulationError(f"nft refused a block: {why}")
            )


def _table(number: int, block: Block) -> str:
    """Rules for both families; a family without sources or destinations has none."""
    sets, rules = "", ""
    for ip, family in (("ip", "ipv4"), ("ip6", "ipv6")):
        sides = [
            ", ".join(address for address in dict.fromkeys(side) if family_of(address) == family)
            for side in (block.sources, block.destinations)
        ]
        if all(sides):
            sets += _SET.format(ip=ip, side="sources", family=family, addresses=sides[0])
            sets += _SET.format(ip=ip, side="destinations", family=family, addresses=sides[1])
            rules += _RULE.format(ip=ip)
    return _TABLE.format(number=number, sets=sets, rules=rules)
