"""How fast does a capture become tables?

    .venv/bin/python benchmarks/dissect.py [--frames 500000] [--profile]

A made-up run of 24 hosts with the three overlays, each packet captured at both ends with 256 bytes of it: DHT queries
and answers, Gnutella over TCP, UDP and HTTP trackers, probes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]

from wire_frames import T0_NS, CaptureFile, peer, plan, tcp, udp  # noqa: E402

from harness.dissect import tables  # noqa: E402

HOSTS = {f"h{number}": f"10.0.0.{number}" for number in range(1, 25)}


def dht(rng: Random, a: str, b: str) -> Iterator[tuple[str, str, bytes]]:
    txid = rng.randbytes(2)
    own, target = rng.randbytes(20), rng.randbytes(20)
    query = b"d1:ad2:id20:" + own + b"9:info_hash20:" + target + b"e1:q9:get_peers1:t2:" + txid + b"1:y1:qe"
    nodes = rng.randbytes(208)
    answer = b"d1:rd2:id20:" + target + b"5:nodes208:" + nodes + b"5:token8:" + own[:8] + b"e1:t2:" + txid + b"1:y1:re"
    yield a, b, udp(HOSTS[a], 6881, HOSTS[b], 6881, query)
    yield b, a, udp(HOSTS[b], 6881, HOSTS[a], 6881, answer)


def tracker(rng: Random, a: str, _b: str) -> Iterator[tuple[str, str, bytes]]:
    txid = rng.randbytes(4)
    yield a, "h1", udp(HOSTS[a], 6882, HOSTS["h1"], 6969, rng.randbytes(8) + b"\0\0\0\1" + txid + bytes(82))
    yield "h1", a, udp(HOSTS["h1"], 6969, HOSTS[a], 6882, b"\0\0\0\1" + txid + bytes(12) + rng.randbytes(60))


class Gnutella:
    """Open connections, one for each ordered pair of hosts, with their sequence numbers."""

    def __init__(self) -> None:
        self.seq: dict[tuple[str, str], int] = {}

    def __call__(self, rng: Random, a: str, b: str) -> Iterator[tuple[str, str, bytes]]:
        seq = self.seq.get((a, b), 1)
        kind, length = rng.choice([(0x80, 12), (0x81, 60), (0x00, 0), (0x01, 14)])
        data = b"".join(
            rng.randbytes(16) + struct.pack("<BBBI", kind, 5, 2, length) + bytes(length)
            for _ in range(rng.choice((1, 1, 2)))
        )
        self.seq[a, b] = seq + len(data)
        stamps = bytes.fromhex("0101080a0000000100000002")
        port = 30000 + int(a[1:]) * 100 + int(b[1:])
        yield a, b, tcp(HOSTS[a], port, HOSTS[b], 6346, seq, data, 24, rng.randrange(65536), stamps)
        yield b, a, tcp(HOSTS[b], 6346, HOSTS[a], port, 1, b"", 16, rng.randrange(65536), stamps)


def make(path: Path, count: int) -> int:
    rng = Random(1)
    makers = [dht] * 5 + [tracker] + [Gnutella()] * 3
    file = CaptureFile(path, list(HOSTS), 256)
    t_s, made = 0.0, 0
    while made < count:
        a, b = rng.sample(sorted(HOSTS), 2)
        for source, target, frame in rng.choice(makers)(rng, a, b):
            t_s += 0.0001
            file.frame(t_s, source, "sent", frame)
            file.frame(t_s + 0.05, target, "received", frame)
            made += 2
    file.write()
    return made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--frames", type=int, default=500_000)
    arguments.add_argument("--profile", action="store_true")
    options = arguments.parse_args()
    peers = [
        *(peer("flooding", host, f"{address}:6346") for host, address in HOSTS.items()),
        *(peer("dht", host, f"{address}:6881") for host, address in HOSTS.items()),
        peer("tracker", "h1", "10.0.0.1:6969", "tracker"),
        *(peer("tracker", host, f"{address}:6882", "client") for host, address in list(HOSTS.items())[1:]),
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "capture.pcapng"
        count = make(path, options.frames)
        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        begin, cpu = time.perf_counter(), time.process_time()
        result = tables.read(path, plan(HOSTS, peers), T0_NS)
        took, cpu = time.perf_counter() - begin, time.process_time() - cpu
        if options.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)
    print(result.packets.groupby(["protocol", "kind"]).size().to_string())
    lost = int(result.flights["lost"].sum())
    print(
        f"{count:,} frames: {took:.2f} s ({cpu:.2f} s CPU), {count / took:,.0f} frames/s; "
        f"{len(result.wire_messages):,} messages, {len(result.flights):,} flights, {lost} lost"
    )


if __name__ == "__main__":
    main()
