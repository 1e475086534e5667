"""Our DHT node among nodes of libtorrent: each finds what the other announced (BEP 5)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from harness.dissect.tables import read
from tests.interop.network import ARIA2, LIBTORRENT, Outcome, run

pytestmark = [pytest.mark.interop, pytest.mark.emulation, pytest.mark.slow]

SPEC = """
name: dht
duration: 20 s
topology: {{generator: star, hosts: 6}}
items: 6
overlays:
  dht:
    protocol: dht
    peers:
      - {{on: [{foreign}], command: {{{libtorrent}, verbs: [publish, lookup]}}}}
      - {{on: [{ours}]}}
workload:
  - {{publish: {{copies: 1, by: [{publishers}]}}, from: 2 s, to: 4 s}}
  - {{lookup: {{by: [{askers}]}}, count: 8, from: 6 s, to: 9 s}}
"""
FOREIGN, OURS = "h1, h2, h3", "h4, h5, h6"


def one_line(block: str) -> str:
    return ", ".join(line.strip() for line in block.strip().splitlines())


def mixed(directory: Path, publishers: str, askers: str) -> Outcome:
    """Three of each; the first nodes, whom all others are told of, are libtorrent's."""
    places = {"foreign": FOREIGN, "ours": OURS, "publishers": publishers, "askers": askers}
    return run(SPEC.format(libtorrent=one_line(LIBTORRENT), **places), directory)


@pytest.fixture(scope="module")
def ours_ask(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return mixed(tmp_path_factory.mktemp("ours"), publishers=FOREIGN, askers=OURS)


@pytest.fixture(scope="module")
def theirs_ask(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return mixed(tmp_path_factory.mktemp("theirs"), publishers=OURS, askers=FOREIGN)


def providers(outcome: Outcome) -> dict[str, str]:
    """Item -> who published it."""
    steps = [step for step in outcome.plan.timeline if step.verb == "publish"]
    return {step.args["item"]: outcome.plan.peer[step.target].listen for step in steps}


@pytest.mark.parametrize("which", ["ours_ask", "theirs_ask"])
def test_what_one_announced_the_other_finds(which: str, request: pytest.FixtureRequest) -> None:
    outcome: Outcome = request.getfixturevalue(which)
    assert all(end["ok"] for end in outcome.ended("publish").values())
    published = providers(outcome)
    for end in outcome.ended("lookup").values():
        assert end["ok"], end
        assert end["providers"] == [published[end["item"]]]


def test_no_message_is_malformed_to_the_other(ours_ask: Outcome, theirs_ask: Outcome) -> None:
    for outcome in (ours_ask, theirs_ask):
        assert outcome.named("malformed") == []
        assert outcome.named("said") == []


def test_queries_go_both_ways(ours_ask: Outcome, theirs_ask: Outcome) -> None:
    """libtorrent fills its table by get_peers; ping and find_node of others are in test_two_aria2_meet_by_our_nodes."""
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    for outcome in (ours_ask, theirs_ask):
        foreign = {peer.listen for peer in outcome.plan.peers if peer.command}
        ours.update(message["kind"] for message in outcome.named("sent") if message["to"] in foreign)
        theirs.update(message["kind"] for message in outcome.named("received") if message["from"] in foreign)
    assert ours.keys() >= {"find_node", "get_peers", "announce_peer", "response"}
    assert theirs.keys() >= {"get_peers", "announce_peer", "response"}
    assert "error" not in ours
    assert "error" not in theirs


def test_both_readers_of_the_wire_know_every_message(theirs_ask: Outcome) -> None:
    """Our dissector, which shares no code with our node, reads what libtorrent wrote."""
    table = read(theirs_ask.run_dir.capture, theirs_ask.plan, 0).wire_messages
    assert not table.empty
    assert {"get_peers", "announce_peer", "response"} <= set(table["kind"])
    assert not table["kind"].str.contains("malformed").any()


MEETING = f"""
name: meeting
duration: 45 s
topology: {{generator: star, hosts: 5}}
items: {{count: 1, size: 200 kB}}
overlays:
  dht:
    protocol: dht
    peers:
      - {{on: [h1, h2, h3]}}
      - on: h4
        command:
          program: aria2c
          arguments: [{ARIA2}, --enable-dht=true, "--dht-listen-port={{port}}", "--dht-file-path={{data}}/dht.dat",
                      "--dht-entry-point={{bootstrap}}", --check-integrity=true, --seed-ratio=0.0, item1.torrent]
          files: [{{path: item1, content: item1}}, {{path: item1.torrent, torrent: item1}}]
          ready: {{port: tcp}}
      - on: h5
        command:
          program: aria2c
          starts: with a download
          arguments: [{ARIA2}, --enable-dht=true, "--dht-listen-port={{port}}", "--dht-file-path={{data}}/dht.dat",
                      "--dht-entry-point={{bootstrap}}", --seed-time=0, "{{item}}.torrent"]
          files: [{{path: "{{item}}.torrent", torrent: "{{item}}"}}]
          result: "{{data}}/{{item}}"
workload:
  - {{download: {{by: h5}}, count: 1, from: 8 s, to: 9 s}}
"""


def test_two_aria2_meet_by_our_nodes(tmp_path: Path) -> None:
    """The torrent names no tracker: who has the file is known to our nodes alone."""
    outcome = run(MEETING, tmp_path)
    (end,) = outcome.ended("download").values()
    assert end["ok"], outcome.logs()
    foreign = {peer.listen for peer in outcome.plan.peers if peer.command}
    asked = Counter(message["kind"] for message in outcome.named("received") if message["from"] in foreign)
    assert asked.keys() >= {"ping", "find_node", "get_peers", "announce_peer"}
    assert outcome.named("malformed") == []
