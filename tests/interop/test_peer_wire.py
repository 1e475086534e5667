"""Our BitTorrent peer downloads from programs of others and seeds to them (BEP 3); every byte is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.network import ARIA2, DRIVER, Outcome, run

pytestmark = [pytest.mark.interop, pytest.mark.emulation, pytest.mark.slow]

TRACKED = '{path: item1.torrent, torrent: item1, trackers: ["http://{bootstrap}/announce"]}'
CONTENT = "{path: item1, content: item1}"
DOWNLOADERS = {
    "aria2": f"""
      program: aria2c
      starts: with a download
      arguments: [{ARIA2}, --enable-dht=false, --seed-time=0, item1.torrent]
      files: [{TRACKED}]
      result: item1
""",
    "transmission": f"""
      program: transmission-cli
      starts: with a download
      arguments: [--config-dir, "{{data}}/config", --download-dir, "{{data}}", --port, "{{port}}", item1.torrent]
      files:
        - {TRACKED}
        - path: config/settings.json
          text: '{{"dht-enabled": false, "lpd-enabled": false, "utp-enabled": false, "bind-address-ipv4": "{{host}}"}}'
      events: [{{match: Seeding, event: op_end}}]
      result: item1
""",
    "ctorrent": f"""
      program: ctorrent
      starts: with a download
      arguments: [-s, item1, -i, "{{host}}", -p, "{{port}}", -e, 1, item1.torrent]
      files: [{TRACKED}]
      events: [{{match: Download complete, event: op_end}}]
      result: item1
""",
    "libtorrent": f"""
      program: "{{python}}"
      arguments: ["{DRIVER}", "--listen={{address}}", --no-dht]
      events: json_lines
      verbs: [download]
      files: [{TRACKED}]
      needs: {{libtorrent: pip install libtorrent}}
""",
}
SEEDS = {
    "aria2": f"""
      program: aria2c
      arguments: [{ARIA2}, --enable-dht=false, --check-integrity=true, --seed-ratio=0.0, item1.torrent]
      files: [{CONTENT}, {TRACKED}]
      ready: {{port: tcp}}
""",
    "transmission": f"""
      program: transmission-cli
      arguments: [--config-dir, "{{data}}/config", --download-dir, "{{data}}", --port, "{{port}}", --verify,
                  item1.torrent]
      files:
        - {CONTENT}
        - {TRACKED}
        - path: config/settings.json
          text: '{{"dht-enabled": false, "lpd-enabled": false, "utp-enabled": false, "bind-address-ipv4": "{{host}}"}}'
      ready: {{port: tcp}}
""",
    "libtorrent": f"""
      program: "{{python}}"
      arguments: ["{DRIVER}", "--listen={{address}}", --no-dht]
      events: json_lines
      verbs: [publish]
      files: [{CONTENT}, {TRACKED}]
      needs: {{libtorrent: pip install libtorrent}}
""",
}
SWARM = """
name: swarm
duration: 40 s
topology: {generator: star, hosts: 3}
links: {access: {delay: 5 ms, rate: 50 Mbit/s}}
items: {count: 1, size: 1 MB}
overlays:
  swarm:
    protocol: bittorrent
    options: {tracker_transport: http}
    peers:
      - {on: h1, role: tracker}
"""


def swarm(directory: Path, seed: str, downloader: str) -> Outcome:
    """The seed on h2, whoever downloads on h3; "" is a peer of ours."""
    text = SWARM
    for host, command in (("h2", seed), ("h3", downloader)):
        text += f"      - on: {host}\n        role: peer\n"
        if command:
            text += "        command:" + "".join(f"\n    {line}" for line in command.splitlines()) + "\n"
    publishes = not seed or "verbs: [publish]" in seed
    text += "workload:\n"
    text += "  - {publish: {by: h2}, at: 1 s}\n" if publishes else ""
    text += "  - {download: {by: h3}, count: 1, from: 5 s, to: 6 s}\n"
    return run(text, directory)


def malformed(outcome: Outcome) -> list[object]:
    """transmission and aria2 try an encrypted handshake first, which no BEP describes, and turn to the plain one."""
    encrypted = "the stream does not begin with a BitTorrent handshake"
    return [event for event in outcome.named("malformed") if event["reason"] != encrypted]


@pytest.mark.parametrize("program", sorted(DOWNLOADERS))
def test_we_seed_to(program: str, tmp_path: Path) -> None:
    outcome = swarm(tmp_path, "", DOWNLOADERS[program])
    (end,) = outcome.ended("download").values()
    assert end["ok"], f"{end}\n{outcome.logs()}"
    assert end["bytes"] >= 1_000_000
    assert malformed(outcome) == []


@pytest.mark.parametrize("program", sorted(SEEDS))
def test_we_download_from(program: str, tmp_path: Path) -> None:
    outcome = swarm(tmp_path, SEEDS[program], "")
    (end,) = outcome.ended("download").values()
    assert end["ok"], f"{end}\n{outcome.logs()}"
    assert end["providers"] == [outcome.plan.peer["swarm-h2"].listen]
    assert (end["received_bytes"] >= 1_000_000, end["bad_pieces"]) == (True, 0)
    assert malformed(outcome) == []
