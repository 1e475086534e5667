"""Network namespaces: made in one process, held by descriptors, entered and left in microseconds."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.emulation import syscalls
from harness.emulation.netlink import Channel
from harness.errors import EmulationError

# Settings of every namespace that holds a host or router. Files that a kernel does not have are passed over: each of
# them only turns something off that is not there then.
QUIET = {
    "ipv4/conf/all/rp_filter": "0",  # paths may be asymmetric
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/icmp_ratelimit": "0",  # a router tells every sender of a lost route, not one in a second
    "ipv4/ping_group_range": "0 0",
}
NO_IPV6 = {
    "ipv6/conf/all/disable_ipv6": "1",  # no router solicitations, no duplicate address detection
    "ipv6/conf/default/disable_ipv6": "1",
}
# "default" is what an interface is born with. All of IPv6 that speaks by itself is off but its multicast reports: all
# addresses, routes and neighbours come from the plan.
IPV6 = {
    "ipv6/conf/default/addr_gen_mode": "1",  # no link-local addresses, so that nobody is to be told of them
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/dad_transmits": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/autoconf": "0",
    "ipv6/conf/default/router_solicitations": "0",
    "ipv6/conf/default/accept_redirects": "0",
    "ipv6/conf/default/keep_addr_on_down": "1",
    "ipv6/icmp/ratelimit": "0",
    "ipv6/route/max_size": "1000000",
}
BRIDGE = {  # frames that cross a switch are not shown to iptables
    "bridge/bridge-nf-call-iptables": "0",
    "bridge/bridge-nf-call-ip6tables": "0",
    "bridge/bridge-nf-call-arptables": "0",
    **NO_IPV6,
}
FORWARD = {"ipv4/ip_forward": "1"}
FORWARD6 = {"ipv6/conf/all/forwarding": "1"}
BY_FLOW = {"ipv4/fib_multipath_hash_policy": "1"}  # which of several ways: by addresses, protocol and ports


class Namespace:
    """One network namespace: its descriptor and a netlink channel inside it."""

    def __init__(self, name: str, descriptor: int, channel: Channel) -> None:
        self.name, self.descriptor, self.channel = name, descriptor, channel

    def close(self) -> None:
        self.channel.close()
        os.close(self.descriptor)


class Namespaces:
    """All namespaces of a network by name, and the way home."""

    def __init__(self) -> None:
        self.home = syscalls.open_namespace()
        self._by_name: dict[str, Namespace] = {}

    def __getitem__(self, name: str) -> Namespace:
        return self._by_name[name]

    def make(self, name: str, settings: Mapping[str, str]) -> Namespace:
        """A new namespace with those settings below /proc/sys/net. Raises EmulationError."""
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            try:
                namespace = Namespace(name, syscalls.open_namespace(), Channel(socket.NETLINK_ROUTE, name))
                self._by_name[name] = namespace
                write_settings(settings)
            finally:
                syscalls.setns(self.home, syscalls.CLONE_NEWNET)
        except OSError as error:
            raise EmulationError(f"cannot make the namespace of {name}: {error}") from error
        return namespace

    def share(self, name: str, other: str) -> None:
        """Another name for a namespace that is there."""
        self._by_name[name] = self._by_name[other]

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Do something within a namespace: sockets made there stay there."""
        with syscalls.inside(self._by_name[name].descriptor, self.home):
            yield

    def close(self) -> None:
        for namespace in set(self._by_name.values()):
            namespace.close()
        self._by_name.clear()
        if self.home >= 0:
            os.close(self.home)
            self.home = -1


def write_settings(settings: Mapping[str, str]) -> None:
    """Write below /proc/sys/net of the present namespace. Raises EmulationError when a value is refused."""
    for name, value in settings.items():
        path = Path("/proc/sys/net", name)
        try:
            path.write_text(value)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise EmulationError(f"cannot set {path} to {value}: {error.strerror}") from error


def read_setting(name: str) -> str | None:
    """The value below /proc/sys/net of the present namespace; None where the kernel has no such file."""
    try:
        return Path("/proc/sys/net", name).read_text().strip()
    except FileNotFoundError:
        return None
