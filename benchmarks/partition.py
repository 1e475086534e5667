"""How soon does a partition of 100 hosts hold, how soon does it heal, and does a single packet cross meanwhile?

    .venv/bin/python benchmarks/partition.py [--clock real|virtual] [--hosts 100] [--gap-ms 20] [--keep DIR]

Two halves of a star. All hosts of one half but one send UDP packets, one each `gap`, to one host of the other half, and
the other way round; the two that are left out are those whose probes confirm the partition and its end. All hosts are
captured, so each frame that crosses is seen by the host that gets it. Times are those when it entered the network:
when it came less the delay of its path, which is constant. A link that carries a packet each `gap` cannot be seen to
heal sooner than that, so the times of the heal have up to one gap in them. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.faults import FLOOD_PORT  # noqa: E402
from harness.records import RunDir, read_json, read_lines  # noqa: E402

TARGET_MS = 50.0
ACCESS_MS = 5.0
DELAY_S = 2 * ACCESS_MS / 1e3  # a path in a star has two links
FRAME_BITS = 1042 * 8  # of a flood (harness.faults.FLOOD_BYTES and its headers)
FROM_S, TO_S, END_S = 10.0, 16.0, 22.0


class Result(NamedTuple):
    """Times in ms after the planned moment; `pairs` are those that carry a packet each gap."""

    pairs: int
    applied_ms: float
    last_across_ms: float  # the last frame that still crossed entered then; below 0: before the planned moment
    confirmed_ms: float
    healed_ms: float
    first_again_ms: float  # of the pair that had to wait longest
    silent: int  # pairs that crossed before and never again
    crossed: int  # frames that crossed between its confirmation and the moment of the heal


def spec(hosts: int, gap_ms: float) -> dict[str, Any]:
    """As JSON, which YAML contains."""
    one, other = ([f"h{number}" for number in half] for half in _halves(hosts))
    rate = f"{FRAME_BITS / gap_ms / 1e3:.6f} Mbit/s"
    during = {"from": "5 s", "to": f"{END_S - 1:g} s"}
    return {
        "name": "cut", "seed": 1, "duration": f"{END_S:g} s", "topology": {"generator": "star", "hosts": hosts},
        "links": {"access": {"delay": f"{ACCESS_MS:g} ms"}},
        "overlays": {"dht": {"protocol": "dht", "peers": ["h1", f"h{hosts}"], "trace": False}},
        "capture": {"at": "hosts", "snap": "64 B"},
        "faults": [
            {"overload": {"from": one[1:], "to": other[1], "rate": rate}, **during},
            {"overload": {"from": other[2:], "to": one[1], "rate": rate}, **during},
            {"partition": {"groups": {"one": one, "other": other}}, "from": f"{FROM_S:g} s", "to": f"{TO_S:g} s"},
        ],
    }  # fmt: skip


def _halves(hosts: int) -> tuple[range, range]:
    return range(1, hosts // 2 + 1), range(hosts // 2 + 1, hosts + 1)


def run(document: Path, clock: str, folder: Path) -> tuple[RunDir, str]:
    """Make the run; its directory and verdict. Raises RuntimeError."""
    command = [sys.executable, "-m", "harness", "run", str(document), "--clock", clock, "--json"]
    command += ["--results-root", str(folder / "results")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 3 or not done.stdout:
        raise RuntimeError(done.stderr.strip())
    last = json.loads(done.stdout.splitlines()[-1])
    return RunDir(Path(last["run_dir"])), last["verdict"].get("verdict", "?")


def crossings(run_dir: RunDir) -> pd.DataFrame:
    """Frames that a host got from the other half: source, target, entered_s, steady (one each gap)."""
    nodes = read_json(run_dir.plan)["nodes"]
    hosts = [node["address"] for node in nodes if node["kind"] == "host"]
    one = set(hosts[: len(hosts) // 2])
    packets = pd.read_parquet(run_dir.table("packets"), columns=["t_s", "direction", "src", "dst", "dport"])
    src, dst = packets["src"].astype(str), packets["dst"].astype(str)
    across = (src.isin(one) != dst.isin(one)) & src.isin(hosts) & dst.isin(hosts)
    got = packets[across & (packets["direction"] == "received")]
    steady = got["dport"] == FLOOD_PORT
    return pd.DataFrame(
        {"source": src[got.index], "target": dst[got.index], "entered_s": got["t_s"] - DELAY_S, "steady": steady}
    )


def measure(run_dir: RunDir) -> Result:
    """Raises RuntimeError where the partition was never confirmed."""
    rows = {row["phase"]: row for row in read_lines(run_dir.faults) if row["verb"] == "partition"}
    apply, undo = rows["apply"], rows["undo"]
    if apply["confirmed_s"] is None:
        raise RuntimeError(f"the partition could not be confirmed: {apply['detail']}")
    frames = crossings(run_dir)
    entered, steady = frames["entered_s"], frames[frames["steady"]]
    late = entered[entered < (FROM_S + TO_S) / 2].max()
    pairs = [steady["source"], steady["target"]]
    last = steady["entered_s"][steady["entered_s"] < (FROM_S + TO_S) / 2].groupby(pairs).max()
    after = steady["entered_s"][steady["entered_s"] >= TO_S - DELAY_S].groupby(pairs).min()
    crossed = ((entered > apply["confirmed_s"]) & (entered < TO_S - DELAY_S)).sum()
    return Result(
        len(last), (apply["applied_s"] - FROM_S) * 1e3, (late - FROM_S) * 1e3,
        (apply["confirmed_s"] - FROM_S) * 1e3, (undo["applied_s"] - TO_S) * 1e3, (after.max() - TO_S) * 1e3,
        len(set(last[last > FROM_S - 1].index) - set(after.index)), int(crossed),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clock", choices=("real", "virtual"), default="real")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--gap-ms", type=float, default=20.0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the spec and the run directory there")
    options = parser.parse_args()
    if options.hosts < 8:
        parser.error("at least 8 hosts are needed")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        document = folder / "spec.yaml"
        document.write_text(json.dumps(spec(options.hosts, options.gap_ms)))
        run_dir, verdict = run(document, options.clock, folder)
        found = measure(run_dir)
    print(
        f"{options.clock} clock, {options.hosts} hosts, {found.pairs} pairs with steady traffic across, run {verdict}"
    )
    print(f"  partition: applied {found.applied_ms:.1f} ms after its moment, confirmed {found.confirmed_ms:.1f} ms")
    print(f"  the last frame to cross entered {found.last_across_ms:.1f} ms after it")
    print(f"  heal: applied after {found.healed_ms:.1f} ms; every pair again within {found.first_again_ms:.1f} ms")
    print(f"  (of which up to {options.gap_ms:g} ms until its next packet); {found.silent} pairs stayed silent")
    print(f"  frames that crossed while it was confirmed: {found.crossed}")
    worst_ms = max(found.last_across_ms, found.first_again_ms)
    fine = worst_ms <= TARGET_MS and found.crossed == found.silent == 0
    print("  within the targets" if fine else f"  MISSED: {TARGET_MS:g} ms, no frame across, no silent pair")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
