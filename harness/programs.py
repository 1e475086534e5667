"""Are the programs of others that a plan names on this machine?"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.errors import EnvironmentUnfit
from harness.plan.model import PeerPlan, Plan

# Debian packages whose name is not the program's.
PACKAGES = {
    "aria2c": "aria2", "transmission-daemon": "transmission-daemon", "transmission-cli": "transmission-cli",
    "opentracker": "opentracker", "ctorrent": "ctorrent", "rtorrent": "rtorrent", "node": "nodejs",
    "dhtnode": "dhtnode", "gtk-gnutella": "gtk-gnutella", "mktorrent": "mktorrent", "iperf3": "iperf3",
    "qbittorrent-nox": "qbittorrent-nox", "deluged": "deluged", "python3": "python3", "stdbuf": "coreutils",
}  # fmt: skip
MORE_PATH = "/usr/sbin:/sbin"


def check_programs(plan: Plan) -> None:
    """Raises EnvironmentUnfit with all that is missing, and how to get it."""
    missing = list(dict.fromkeys(text for peer in plan.peers for text in _missing(peer)))
    if missing:
        raise EnvironmentUnfit("programs that this experiment runs are not here:\n" + "\n".join(missing))


def _missing(peer: PeerPlan) -> Iterator[str]:
    command = peer.command
    if command is None:
        return
    words = [word for word in command.program if not word.startswith("-")]
    program = words[1] if words[0] == "stdbuf" and len(words) > 1 else words[0]
    if shutil.which(program) is None and shutil.which(program, path=MORE_PATH) is None:
        package = PACKAGES.get(Path(program).name)
        advice = f": apt-get install {package}" if package else " on PATH; install it, or name it by its path"
        yield f"  {program}{advice}"
    for need, how in command.needs.items():
        if "/" in need:
            if not Path(need).exists():
                yield f"  {need}: {how}"
        elif importlib.util.find_spec(need) is None:
            yield f"  the Python module {need}: {how}"
