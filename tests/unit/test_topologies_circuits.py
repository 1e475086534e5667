"""Calls over a square of four exchanges, by hand: h1..h4 at r1..r4, lines r1-r2, r2-r3, r3-r4, r4-r1."""

from __future__ import annotations

from topologies.circuits import Call, Outages, dialled, leased
from topologies.model import HOST, ROUTER, Impairment, Link, Node, Topology

LINE = Impairment(delay_ms=10)


def square() -> Topology:
    numbers = range(1, 5)
    nodes = [Node(f"r{n}", ROUTER) for n in numbers] + [Node(f"h{n}", HOST) for n in numbers]
    links = [Link(f"r{n}-r{n % 4 + 1}", f"r{n}", f"r{n % 4 + 1}", LINE, LINE) for n in numbers]
    links += [Link(f"l{n}", f"h{n}", f"r{n}") for n in numbers]
    return Topology(tuple(nodes), tuple(links))


def call(begin_s: float, end_s: float, source: int = 1, target: int = 2) -> Call:
    return Call(begin_s, end_s, f"h{source}", f"h{target}")


CUT: Outages = [(10.0, ["r1-r2"]), (20.0, [])]


def test_a_circuit_breaks_with_its_path() -> None:
    calls = [call(5, 9), call(5, 10), call(5, 11), call(12, 13), call(25, 26)]
    assert leased(square(), calls, CUT, 5) == ["carried", "carried", "broken", "broken", "carried"]
    # Dialled at 12 s it is given the way around: r4, r3.
    assert dialled(square(), calls, CUT, 5) == ["carried", "carried", "broken", "carried", "carried"]


def test_it_is_blocked_where_capacity_is_out() -> None:
    """One circuit a line: the first takes the short way, the second the long one, the third finds both taken."""
    calls = [call(0, 5), call(1, 5), call(2, 5), call(5, 6)]
    assert dialled(square(), calls, [], 1) == ["carried", "carried", "blocked", "carried"]
    assert dialled(square(), calls, [], 2) == ["carried"] * 4


def test_a_broken_circuit_frees_what_is_left_of_it() -> None:
    """h1 to h3 by r2 breaks at 10 s; h2 to h3 is free for another from then on."""
    both = [call(5, 30, 1, 3), call(11, 12, 2, 3)]
    assert dialled(square(), both, CUT, 1) == ["broken", "carried"]
    assert dialled(square(), both, [], 1) == ["carried", "blocked"]  # both ways out of r2 are the first one's


def test_leased_lines_are_reserved_in_order() -> None:
    calls = [call(0, 1, 1, 2), call(0, 1, 4, 2), call(0, 1, 4, 3), call(9, 9.5, 4, 3)]
    # r1-r2 is taken: h4 goes by r3, and takes r3-r4 and r2-r3 for good; h4 to h3 by r1 needs r1-r2.
    assert leased(square(), calls, [], 1) == ["carried", "carried", "blocked", "blocked"]


def test_a_dead_exchange_takes_its_host_along() -> None:
    dead: Outages = [(10.0, ["r1-r2", "r2-r3", "l2"])]
    assert dialled(square(), [call(11, 12), call(11, 12, 1, 3)], dead, 1) == ["no way", "carried"]


def test_plugs_of_hosts_carry_any_number() -> None:
    assert dialled(square(), [call(0, 9), call(0, 9, 4, 1)], [], 1) == ["carried", "carried"]
