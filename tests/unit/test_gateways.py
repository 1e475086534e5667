"""Gateways: where the planner puts them, whom peers are told of, what is refused, and what the model of them does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.emulation.gateways import ruleset
from harness.engine import Endpoint, Shot
from harness.errors import EmulationError, SpecError
from harness.faults import Block
from harness.memory.engine import MemoryEngine
from harness.plan.model import Plan
from harness.reach import Survey
from harness.records import RunDir
from tests.unit.gateway_specs import KINDS
from tests.unit.specs import plan_of

OPEN, HOST, PORT = "endpoint-independent", "address", "address-and-port"
STAR = """\
name: few
duration: 20 s
topology: {generator: star, hosts: 5}
overlays: {dht: {protocol: dht, peers: [{on: [h4, h5]}, {on: [h1, h2, h3]}]}}
"""


def few(tmp_path: Path, behind: str, rest: str = "") -> Plan:
    return plan_of(tmp_path, f"{STAR}network:\n  behind:\n    - {behind}\n{rest}")


def built(plan: Plan, tmp_path: Path) -> MemoryEngine:
    engine = MemoryEngine(plan, RunDir(tmp_path / "run").create())
    engine.build(lambda text: None)
    return engine


def seen(engine: MemoryEngine, source: Endpoint, to: tuple[str, int], *listeners: Endpoint) -> tuple[str, int] | None:
    found = engine.exchange(listeners, [Shot(source, to)], 1, 0.5)
    return found[0].sender if found else None


# ---- the plan ----


def test_each_host_gets_its_own_gateway_and_keeps_its_link(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: [h1, h2], gateway: home}")
    assert [gateway.node for gateway in plan.gateways] == ["gw-h1", "gw-h2"]
    link = plan.link["h1-center"]
    assert {link.a, link.b} == {"gw-h1", "center"}
    gateway = plan.gateways[0]
    assert (gateway.kind, gateway.preset, gateway.udp_timeout_s, gateway.tcp_timeout_s) == (
        "port_restricted", "home", 120, 7440,
    )  # fmt: skip
    assert gateway.inside == ((plan.node["h1"].address, 0, 0),)


def test_those_at_one_place_share_a_gateway_and_its_ports(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: [h1, h2], gateway: mobile}")
    (gateway,) = plan.gateways
    assert gateway.hosts == ("h1", "h2")
    assert [ports for _, *ports in gateway.inside] == [[1024, 33279], [33280, 65535]]  # 64512 ports for two


def test_a_carrier_is_a_second_layer_in_front_of_households(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: [h1, h2], gateway: cgnat}")
    assert [(g.node, g.layer, g.kind) for g in plan.gateways] == [
        ("gw-h1", 1, "port_restricted"), ("gw-h2", 1, "port_restricted"), ("cgn-center", 2, "full_cone"),
    ]  # fmt: skip
    inner = {gateway.address for gateway in plan.gateways[:2]}
    assert {address for address, _, _ in plan.gateways[2].inside} == inner


def test_a_router_of_the_topology_can_be_the_gateway(tmp_path: Path) -> None:
    text = STAR.replace("{generator: star, hosts: 5}", "{generator: regions, regions: {west: 3, east: 2}}")
    text = text.replace("[h4, h5]", "east").replace("[h1, h2, h3]", "west")
    plan = plan_of(tmp_path, text + "network: {behind: [{router: west, gateway: symmetric}]}\n")
    assert plan.gateways[0].hosts == ("west1", "west2", "west3")
    assert len(plan.nodes) == 7


def test_others_are_told_the_address_of_the_gateway(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: h4, gateway: home, forward: true}")
    address = plan.gateways[0].address
    assert plan.peer["dht-h1"].bootstrap == (f"{address}:6881", f"{plan.node['h5'].address}:6881")
    assert plan.gateways[0].forwards == ((6881, plan.node["h4"].address),)


def test_a_servent_behind_a_gateway_knows_that_it_cannot_be_called(tmp_path: Path) -> None:
    text = STAR.replace("dht: {protocol: dht", "web: {protocol: flooding, graph: {generator: star}")
    plan = plan_of(tmp_path, text + "network: {behind: [{hosts: h1, gateway: home}, {hosts: h2, gateway: cloud}]}\n")
    assert [plan.peer[f"web-{host}"].options.get("reachable") for host in ("h1", "h2", "h4")] == [False, None, None]


def test_a_partition_blocks_what_gateways_make_of_addresses(tmp_path: Path) -> None:
    cut = "faults: [{partition: {groups: {one: [h1, h2], other: [h3, h4, h5]}}, from: 5 s, to: 9 s}]\n"
    plan = few(tmp_path, "{hosts: [h1, h3], gateway: home}", cut)
    one, other = (gateway.address for gateway in plan.gateways)
    blocks = [action for fault in plan.faults for action in fault.apply if isinstance(action, Block)]
    assert blocks
    for block in blocks:
        assert {one, other} <= {*block.sources, *block.destinations}


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        ("{hosts: h1, gateway: hoem}", "there is no preset or kind 'hoem'; did you mean 'home'?"),
        ("{gateway: home}", "needs either 'hosts' or 'router'"),
        ("{hosts: h1, router: center, gateway: home}", "needs either 'hosts' or 'router'"),
        ("{router: center, gateway: home}", "0 other links"),
        ("{router: h1, gateway: home}", "there is no router 'h1'"),
        ("{hosts: h9, gateway: home}", "h9"),
        ("{hosts: h1, gateway: home}\n    - {hosts: all, gateway: mobile}", "host 'h1' is behind a gateway already"),
        ("{hosts: [h1, h2, h3, h4], gateway: home}", "fewer than 2 hosts are left outside"),
        ("{hosts: [h1, h2], gateway: home, shared: true, forward: true}", "cannot forward port 6881 to several hosts"),
        ("{hosts: [h3, h4, h5], gateway: home}", "behind gateways that let no stranger in"),
        ("{hosts: h1, gateway: home, udp_timeout: 0 s}", "udp_timeout"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, behind: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        few(tmp_path, behind)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("rest", "words"), [("addresses: dual", "'behind' puts hosts behind"), ("routing: ospf", "run no daemons")]
)
def test_families_and_daemons_do_not_go_with_gateways(tmp_path: Path, rest: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        plan_of(tmp_path, f"{STAR}network: {{behind: [{{hosts: h1, gateway: home}}], {rest}}}\n")
    assert words in str(refused.value)


# ---- the model ----


def test_the_model_maps_and_filters_as_the_kinds_say(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, KINDS)
    rows = Survey(plan, built(plan, tmp_path)).rows()
    assert [row for row in rows if row["planned"] != row["measured"]] == []
    laws = {row["name"]: tuple(row["measured"].values()) for row in rows if row["what"] == "gateway"}
    assert laws == {
        "h1": (OPEN, OPEN), "h2": (OPEN, HOST), "h3": (OPEN, PORT), "h4": (PORT, PORT), "h5": ("none", PORT),
        "h6": (OPEN, PORT), "h7": (OPEN, PORT), "h8": (OPEN, OPEN), "h10": (OPEN, PORT), "h11": ("none", PORT),
    }  # fmt: skip
    reached = {row["name"] for row in rows if row["what"] == "peer" and row["measured"] == {"udp": True, "tcp": True}}
    assert reached == {"dht-h10", "dht-h11", "dht-h12", "dht-h13", "dht-h14"}


def test_a_mapping_of_the_model_ends_after_its_timeout(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: h1, gateway: port_restricted, udp_timeout: 2 s}")
    engine = built(plan, tmp_path)
    inside, outside = Endpoint("h1", 4000, "udp"), Endpoint("h4", 5000, "udp")
    to = str(plan.node["h4"].address), 5000
    mapped = seen(engine, inside, to, outside)
    assert mapped == (plan.gateways[0].address, 4000)
    assert seen(engine, outside, mapped, inside) == to
    engine.wait(engine.now() + 1.9)
    assert seen(engine, outside, mapped, inside) == to  # an answer keeps it as well
    engine.wait(engine.now() + 2.1)
    assert seen(engine, outside, mapped, inside) is None


def test_nobody_outside_reaches_a_private_address(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: h1, gateway: full_cone}")
    engine = built(plan, tmp_path)
    to = str(plan.node["h1"].address), 4000
    assert seen(engine, Endpoint("h4", 5000, "udp"), to, Endpoint("h1", 4000, "udp")) is None


@pytest.mark.parametrize(
    ("source", "target", "refused"),
    [("h4", "h1", True), ("h1", "h4", False), ("h2", "h3", False), ("h1", "h2", True), ("h4", "h5", False)],
)
def test_an_overload_that_a_gateway_would_keep_out_is_refused(
    tmp_path: Path, source: str, target: str, refused: bool
) -> None:
    """h1 alone, and h2 and h3 together, are behind gateways; from behind one all gets out."""
    overload = f"faults: [{{overload: {{from: {source}, to: {target}, rate: 1 Mbit/s}}, from: 5 s, to: 10 s}}]\n"
    behind = "{hosts: h1, gateway: full_cone}\n    - {hosts: [h2, h3], gateway: home, shared: true}"
    if refused:
        with pytest.raises(SpecError, match=r"which lets nothing in that .* sends unasked"):
            few(tmp_path, behind, overload)
    else:
        assert few(tmp_path, behind, overload).faults


def test_engine_memory_refuses_connections_that_are_forgotten(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: h1, gateway: home, tcp_timeout: 5 s}")
    with pytest.raises(EmulationError, match="forgets connections after 5 s"):
        built(plan, tmp_path)


# ---- rules and judgement ----


def test_rules_name_what_the_kind_needs(tmp_path: Path) -> None:
    gateways = {g.hosts: g for g in plan_of(tmp_path, KINDS).gateways}
    cone, restricted, symmetric = (ruleset(gateways[host,]) for host in ("h1", "h2", "h4"))
    assert "map @mapping" in cone
    assert "@spoken dnat" not in cone
    assert "@spoken dnat" in restricted
    assert "fully-random" in symmetric
    assert "map" not in symmetric
    assert "nat ip" not in ruleset(gateways["h5",])


def test_a_gateway_that_lets_in_more_than_planned_is_told(tmp_path: Path) -> None:
    plan = few(tmp_path, "{hosts: h1, gateway: symmetric}")
    engine = built(plan, tmp_path)
    box = engine.world.boxes.boxes["gw-h1"]
    box.plan = replace(box.plan, kind="full_cone")
    rows: list[dict[str, Any]] = [row for row in Survey(plan, engine).rows() if row["planned"] != row["measured"]]
    assert [(row["name"], row["measured"]) for row in rows] == [("h1", {"mapping": OPEN, "filtering": OPEN})]
