"""Programs of others in hosts of an emulated network, inside the guest: `python -m tests.virtual.programs`.

h1 and h2 are joined by a link of 10 Mbit/s with 5 ms of delay each way. One JSON object is printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.emulation.engine import MininetEngine
from tests.emulation.plans import address, pair
from tests.emulation.traffic import namespaces, running
from topologies.model import Impairment

LINK = Impairment(delay_ms=5, rate_mbit=10, queue_bytes=125_000)
FILE_BYTES = 5_000_000


@contextmanager
def serving(engine: MininetEngine, command: list[str], sign: str) -> Iterator[subprocess.Popen[str]]:
    """A program on h2 that has printed its sign of readiness."""
    with namespaces(engine).inside("h2"):
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if sign in line:
                break
        else:
            raise AssertionError(f"{command[0]} ended before it was ready")
        yield server
    finally:
        server.kill()
        server.communicate()


def on_h1(engine: MininetEngine, command: list[str], folder: Path | None = None) -> tuple[str, float]:
    """What a program prints on h1, and how many seconds it takes. Raises AssertionError when it fails."""
    with namespaces(engine).inside("h1"):
        begin = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        took_s = time.monotonic() - begin
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout, took_s


def aria2() -> dict[str, Any]:
    """aria2c fetches a file over four connections from the web server of Python's library."""
    with running(pair(LINK, shaping="netem")) as engine, tempfile.TemporaryDirectory() as directory:
        there, here = Path(directory, "there"), Path(directory, "here")
        there.mkdir()
        here.mkdir()
        content = bytes(number % 251 for number in range(FILE_BYTES))
        (there / "file").write_bytes(content)
        own = address(engine.plan, "h2")
        server = ["/usr/bin/python3", "-u", "-m", "http.server", "--bind", own, "--directory", str(there), "8080"]
        with serving(engine, server, "Serving HTTP"):
            fetch = ["aria2c", "-x", "4", "-s", "4", "--quiet", "--no-conf", f"http://{own}:8080/file"]
            _output, took_s = on_h1(engine, fetch, here)
        return {"took_s": took_s, "same": (here / "file").read_bytes() == content}


def iperf3() -> dict[str, float]:
    with running(pair(LINK, shaping="netem")) as engine:
        with serving(engine, ["iperf3", "-s", "-1", "--forceflush"], "listening"):
            client = ["iperf3", "-c", address(engine.plan, "h2"), "-t", "10", "-O", "1", "-J"]
            output, took_s = on_h1(engine, client)
        return {"mbit": json.loads(output)["end"]["sum_received"]["bits_per_second"] / 1e6, "took_s": took_s}


PROGRAMS: tuple[Callable[[], dict[str, Any]], ...] = (aria2, iperf3)


def main() -> int:
    print(json.dumps({program.__name__: program() for program in PROGRAMS}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
