"""Switches by Open vSwitch: its daemons run inside the sandbox, all bridges in one namespace of their own.

One daemon serves one network namespace, so the ports of all switches share one and are called sw3e0, sw3e1, ... there
(switch number 3). Bridges work standalone, without a controller or spanning tree, as mininet's OVSBridge does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.emulation.namespaces import Namespaces
from harness.emulation.netlink import Channel, family_id
from harness.errors import EmulationError, EnvironmentUnfit

PLACE = "(switches)"  # no node can have that name
START_TIMEOUT_S = 20.0
_NETLINK_GENERIC = 16
_SEARCH = f"{os.defpath}:/usr/sbin:/sbin:/usr/lib/openvswitch-switch"


class OpenVSwitch:
    """Life: start, bridges, differences, close."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self.folder = Path("/run/openvswitch")  # the sandbox's own
        self.socket = f"unix:{self.folder}/db.sock"
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.asked: dict[str, list[str]] = {}

    def start(self) -> None:
        """Raises EnvironmentUnfit when it is not installed or the kernel has no datapath for it."""
        _check_kernel()
        programs = {name: _found(name) for name in ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl")}
        schema = Path(os.environ.get("OVS_PKGDATADIR", "/usr/share/openvswitch"), "vswitch.ovsschema")
        self.folder.mkdir(parents=True, exist_ok=True)
        database, quiet = self.folder / "conf.db", ["-vconsole:off", f"--log-file={self.folder}/ovs.log"]
        if not database.exists():
            _run([programs["ovsdb-tool"], "create", str(database), str(schema)])
        self._daemon([programs["ovsdb-server"], str(database), f"--remote=p{self.socket}", *quiet])
        self._wait_for(Path(f"{self.folder}/db.sock"))
        self._control("--no-wait", "init")
        self._daemon([programs["ovs-vswitchd"], self.socket, *quiet])

    def _daemon(self, command: list[str]) -> None:
        with self.namespaces.inside(PLACE):
            self.daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not path.exists():
            if time.monotonic() > deadline or self.daemons[-1].poll() is not None:
                raise EmulationError(f"Open vSwitch did not start; see {self.folder}/ovs.log")
            time.sleep(0.01)

    def _control(self, *words: str) -> str:
        return _run([_found("ovs-vsctl"), f"--db={self.socket}", f"--timeout={START_TIMEOUT_S:.0f}", *words])

    def bridges(self, ports: Mapping[str, Sequence[str]]) -> None:
        """Make all bridges with their ports, in one transaction. Raises EmulationError, EnvironmentUnfit."""
        words: list[str] = []
        for bridge, names in ports.items():
            words += ["--", "add-br", bridge, "--", "set", "bridge", bridge, "fail_mode=standalone", "stp_enable=false"]
            for name in names:
                words += ["--", "add-port", bridge, name]
        self.asked = {bridge: list(names) for bridge, names in ports.items()}
        self._control(*words)

    def differences(self) -> list[str]:
        """Ports that are missing, or have no number in the kernel's datapath."""
        table = self._control("--format=csv", "--no-headings", "--columns=name,ofport", "list", "interface")
        numbers = dict(line.split(",") for line in table.split())
        return [
            f"switch {bridge}: port {name} is {'not in the datapath' if name in numbers else 'missing'}"
            for bridge, ports in self.asked.items()
            for name in ports
            if not numbers.get(name, "").isdigit()
        ]

    def close(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.kill()
            daemon.wait()
        self.daemons.clear()


def _check_kernel() -> None:
    channel = Channel(_NETLINK_GENERIC)
    try:
        family_id(channel, "ovs_datapath")
    except EmulationError as error:
        raise EnvironmentUnfit(
            "`switch: ovs` needs the kernel module openvswitch (modprobe openvswitch); set `switch: bridge`, or use "
            "--clock virtual"
        ) from error
    finally:
        channel.close()


def _found(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path=_SEARCH)
    if path is None:
        raise EnvironmentUnfit(
            f"`switch: ovs` needs Open vSwitch, and there is no {program}; install the package openvswitch-switch, "
            "or set `switch: bridge`"
        )
    return path


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmulationError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout
