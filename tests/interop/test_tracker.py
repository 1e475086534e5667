"""Our tracker serves programs of others, and our clients use a tracker of others (BEP 3, 7, 15, 23)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.network import ARIA2, DRIVER, run

pytestmark = [pytest.mark.interop, pytest.mark.emulation, pytest.mark.slow]

SERVING = """
name: serving
duration: 25 s
topology: {generator: star, hosts: 4}
items: {count: 1, size: 300 kB}
overlays:
  swarm:
    protocol: tracker
    peers:
      - {on: h1, role: tracker}
      - on: h2
        role: client
        command:
          program: aria2c
          arguments: [ARIA2, DHT, --check-integrity=true, --seed-ratio=0.0, item1.torrent]
          files: [{path: item1, content: item1}, TORRENT]
          ready: {port: tcp}
      - on: h3
        role: client
        command:
          program: aria2c
          starts: with a download
          arguments: [ARIA2, DHT, --seed-time=0, "{item}.torrent"]
          files: [TORRENT]
          result: "{data}/{item}"
      - on: h4
        role: client
        command:
          program: "{python}"
          arguments: ["DRIVER", "--listen={address}", --no-dht]
          events: json_lines
          verbs: [download]
          files: [TORRENT]
          needs: {libtorrent: pip install libtorrent}
workload:
  - {download: {each: true, by: [h3, h4]}, from: 2 s, to: 4 s}
"""
ASKING = """
name: asking
duration: 12 s
topology: {generator: star, hosts: 5}
items: 4
overlays:
  swarm:
    protocol: tracker
    options: {transport: TRANSPORT}
    peers:
      - on: h1
        role: tracker
        command:
          program: opentracker
          arguments: [-i, "{host}", -p, "{port}", -P, "{port}", -d, "{data}", -u, nobody, -w, whitelist.txt]
          files: [{path: whitelist.txt, text: "{key:item1}\\n{key:item2}\\n{key:item3}\\n{key:item4}\\n"}]
          ready: {port: tcp}
      - {on: all except h1, role: client}
workload:
  - {publish: {copies: 2, by: all except h1}, from: 1 s, to: 3 s}
  - {lookup: {by: all except h1}, count: 12, from: 4 s, to: 10 s}
"""


@pytest.mark.parametrize("transport", ["http", "udp"])
def test_our_tracker_serves_programs_of_others(transport: str, tmp_path: Path) -> None:
    torrent = '{path: item1.torrent, torrent: item1, trackers: ["SCHEME://{bootstrap}/announce"]}'
    text = SERVING.replace("TORRENT", torrent).replace("SCHEME", transport)
    # aria2 asks UDP trackers from the socket of its DHT
    dht = '--enable-dht=true, "--dht-listen-port={port}", "--dht-file-path={data}/dht.dat"'
    outcome = run(text.replace("ARIA2", ARIA2).replace("DHT", dht).replace("DRIVER", str(DRIVER)), tmp_path)
    ends = outcome.ended("download")
    assert len(ends) == 2
    assert all(end["ok"] for end in ends.values()), outcome.logs()
    assert outcome.named("malformed") == []
    kinds = {message["kind"] for message in outcome.named("received", peer="swarm-h1")}
    assert any(transport in kind or "announce" in kind for kind in kinds), kinds


@pytest.mark.skipif(os.geteuid() != 0, reason="opentracker changes to user nobody, which needs real root")
@pytest.mark.parametrize("transport", ["http", "udp"])
def test_our_clients_use_opentracker(transport: str, tmp_path: Path) -> None:
    outcome = run(ASKING.replace("TRANSPORT", transport), tmp_path)
    assert all(end["ok"] for end in outcome.ended("publish").values()), outcome.logs()
    holders: dict[str, set[str]] = {}
    for step in outcome.plan.timeline:
        if step.verb == "publish":
            holders.setdefault(step.args["item"], set()).add(outcome.plan.peer[step.target].listen)
    for end in outcome.ended("lookup").values():
        assert end["ok"], end
        assert set(end["providers"]) <= holders[end["item"]]
    assert outcome.named("malformed") == []
