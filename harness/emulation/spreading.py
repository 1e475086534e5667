"""Several ways for the packets of one flow: each packet is given a mark by chance, and each mark has a routing table.

The kernel's own multipath routes choose by flow. So nftables marks what a node sends or forwards towards a destination
of several equally good next hops with a random number below their count: 0 goes by the main table, k by table
FIRST_TABLE + k, which has the k-th next hop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from harness.emulation import rtnl
from harness.emulation.namespaces import Namespaces
from harness.emulation.netlink import Request
from harness.emulation.nft import nft
from harness.errors import EnvironmentUnfit
from harness.plan.model import NodePlan, Route

FIRST_TABLE = 100
PRIORITY = 100  # of the rules: after that of the kernel's local table (0), before that of the main one (32766)

_TABLE = """\
table inet spread {{
  chain forwarded {{
    type filter hook prerouting priority mangle; policy accept;
{marking}  }}
  chain own {{
    type route hook output priority mangle; policy accept;
{marking}  }}
}}
"""


def tables(node: NodePlan) -> Iterator[tuple[int, Route]]:
    """Each route that is not in the main table, with the number of its own."""
    return ((FIRST_TABLE + number, way) for ways in node.spread for number, way in enumerate(ways[1:], 1))


def rules(node: NodePlan) -> list[Request]:
    """Marks and their tables, for each family that is spread."""
    return [
        rtnl.rule(family, table - FIRST_TABLE, table, PRIORITY)
        for family, table in sorted({(rtnl.family(way.destination), table) for table, way in tables(node)})
    ]


def mark(node: NodePlan, namespaces: Namespaces) -> None:
    """Have packets marked, and read back that they will be. Raises EnvironmentUnfit."""
    if not node.spread:
        return
    text = ruleset(node)
    with namespaces.inside(node.name):
        _nft(["-f", "-"], text, node.name)
        said = _nft(["list", "table", "inet", "spread"], None, node.name)
    wanted, found = text.count("numgen random"), said.count("numgen random")
    if found != wanted:
        raise EnvironmentUnfit(f"{node.name}: the kernel has {found} rules that spread packets, planned {wanted}")


def ruleset(node: NodePlan) -> str:
    """The table that marks packets, as nft reads it."""
    alike: dict[tuple[str, int], list[str]] = defaultdict(list)
    for ways in node.spread:
        kind = "ip6" if ":" in ways[0].destination else "ip"
        alike[kind, len(ways)].append(ways[0].destination.partition("/")[0])
    marking = "".join(
        f"    {kind} daddr {{ {', '.join(addresses)} }} meta mark set numgen random mod {count}\n"
        for (kind, count), addresses in alike.items()
    )
    return _TABLE.format(marking=marking)


def _nft(arguments: list[str], text: str | None, node: str) -> str:
    return nft(arguments, text, users="several ways for each packet", refused=lambda why: EnvironmentUnfit(
        f"this kernel cannot spread packets over several ways ({node}): {why}; it takes nf_tables with nft_numgen "
        "(CONFIG_NFT_NUMGEN)"
    ))  # fmt: skip


def differences(node: NodePlan, namespaces: Namespaces, names: dict[int, str]) -> list[str]:
    """Routes of the extra tables and rules that are not as planned, in words."""
    if not node.spread:
        return []
    channel = namespaces[node.name].channel
    planned = {(table, way.destination, way.interface, way.via) for table, way in tables(node)}
    have = {
        (table, destination, names.get(index, str(index)), via)
        for table in {number for number, _ in tables(node)}
        for destination, index, via, _algorithm in rtnl.routes(channel, table)
    }
    wrong = [f"route to {where} via {via} in table {table} is missing" for table, where, _, via in planned - have]
    wrong += [f"route to {where} via {via} in table {table} is not planned" for table, where, _, via in have - planned]
    for family in {rtnl.family(way.destination) for _, way in tables(node)}:
        marks = {(table - FIRST_TABLE, table) for table, way in tables(node) if rtnl.family(way.destination) == family}
        wrong += [f"rule for mark {number} is missing" for number, _ in marks - rtnl.rules(channel, family)]
    return wrong
