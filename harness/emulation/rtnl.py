"""The requests of rtnetlink that networks are made of, and the answers that say what was made.

Source: linux/rtnetlink.h, linux/if_link.h, linux/neighbour.h; names follow `man 7 rtnetlink`.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from harness.emulation.netlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Channel,
    Request,
    attribute,
    attributes,
    nested,
    text,
    u32,
)

RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_NEWRULE, RTM_GETRULE = 32, 34
NEW = NLM_F_CREATE | NLM_F_EXCL
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
OPER_UP = 6
LOOPBACK = 1  # the index of `lo` in every namespace

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_OPERSTATE, _IFLA_LINKINFO, _IFLA_STATS64, _IFLA_NET_NS_FD = 16, 18, 23, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_BR_FORWARD_DELAY, _IFLA_BR_AGEING_TIME, _IFLA_BR_STP_STATE, _IFLA_BR_MCAST_SNOOPING = 1, 4, 5, 23
_IFLA_BR_NF_CALL_IPTABLES, _IFLA_BR_NF_CALL_IP6TABLES = 36, 37
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_METRICS, _RTAX_CC_ALGO = 1, 4, 5, 7, 8, 16
_NDA_DST, _NDA_LLADDR = 1, 2
_FRA_PRIORITY, _FRA_FWMARK, _FR_ACT_TO_TBL = 6, 10, 1
MAIN = 254  # the routing table of all packets
_RTPROT_STATIC, _RTN_UNICAST, _RTNH_F_ONLINK = 4, 1, 4
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_NOWHERE = {int(socket.AF_INET): bytes(4), int(socket.AF_INET6): bytes(16)}
_NUD_PERMANENT = 0x80
_IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
_IFADDR = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NDMSG = struct.Struct("=B3xiHBB")  # family, index, state, flags, type


class End(NamedTuple):
    """One end of a veth pair to be made: its index and name in its namespace (a descriptor; None: the caller's own)."""

    ifindex: int
    name: str
    mac: str
    mtu: int
    up: bool
    namespace: int | None = None
    master: int | None = None


class LinkState(NamedTuple):
    ifindex: int
    name: str
    flags: int
    mac: str
    mtu: int
    master: int
    oper: int
    sent: int  # packets
    dropped: int  # packets, in either direction


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _text(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _end(end: End) -> bytes:
    """ifinfomsg and attributes of one end."""
    flags = IFF_UP if end.up else 0
    parts = [
        _IFINFO.pack(0, 0, end.ifindex, flags, flags),
        text(_IFLA_IFNAME, end.name),
        attribute(_IFLA_ADDRESS, mac_bytes(end.mac)),
        u32(_IFLA_MTU, end.mtu),
    ]
    if end.namespace is not None:
        parts.append(u32(_IFLA_NET_NS_FD, end.namespace))
    if end.master is not None:
        parts.append(u32(_IFLA_MASTER, end.master))
    return b"".join(parts)


def veth(near: End, far: End) -> Request:
    """A pair of Ethernet interfaces joined back to back; `near` may be put under a bridge at once."""
    data = nested(_IFLA_INFO_DATA, nested(_VETH_INFO_PEER, _end(far)))
    info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "veth"), data)
    return Request(RTM_NEWLINK, NEW, _end(near) + info, f"make the link {near.name} - {far.name}")


def bridge(index: int, name: str, mac: str, mtu: int, ageing_s: int) -> Request:
    """A bridge without spanning tree and multicast snooping; with `ageing_s` 0 it learns nothing and always floods."""
    data = (
        u32(_IFLA_BR_FORWARD_DELAY, 0),
        u32(_IFLA_BR_AGEING_TIME, ageing_s * 100),
        u32(_IFLA_BR_STP_STATE, 0),
        attribute(_IFLA_BR_MCAST_SNOOPING, b"\0"),
    )
    info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge"), nested(_IFLA_INFO_DATA, *data))
    return Request(RTM_NEWLINK, NEW, _end(End(index, name, mac, mtu, up=True)) + info, f"make the bridge {name}")


def set_up(index: int, name: str, up: bool) -> Request:
    body = _IFINFO.pack(0, 0, index, IFF_UP if up else 0, IFF_UP)
    return Request(RTM_NEWLINK, 0, body, f"bring {name} {'up' if up else 'down'}")


def show_to_iptables(index: int, name: str) -> Request:
    """Have packets that cross this bridge pass the chains of iptables and ip6tables, as if they were routed."""
    shown = (attribute(kind, b"\1") for kind in (_IFLA_BR_NF_CALL_IPTABLES, _IFLA_BR_NF_CALL_IP6TABLES))
    data = nested(_IFLA_INFO_DATA, *shown)
    body = _IFINFO.pack(0, 0, index, 0, 0) + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge"), data)
    return Request(RTM_NEWLINK, 0, body, f"show packets of {name} to iptables")


def set_master(index: int, name: str, master: int) -> Request:
    body = _IFINFO.pack(0, 0, index, 0, 0) + u32(_IFLA_MASTER, master)
    return Request(RTM_NEWLINK, 0, body, f"put {name} under the bridge")


def address(index: int, cidr: str, peer: str | None = None) -> Request:
    """`peer`: the address at the other end of a link between two."""
    host, _, prefix = cidr.partition("/")
    kind = family(host)
    packed = socket.inet_pton(kind, host)
    flags = _IFA_F_NODAD if kind == socket.AF_INET6 else 0  # the plan gives no address twice: usable at once
    body = _IFADDR.pack(kind, int(prefix), flags, _SCOPE_UNIVERSE, index)
    body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, socket.inet_pton(kind, peer) if peer else packed)
    return Request(RTM_NEWADDR, NEW, body, f"give address {cidr}")


def route(
    destination: str, index: int, via: str | None, source: str | None, congestion_control: str, table: int = MAIN
) -> Request:
    """A unicast route; `via` is taken as on-link; TCP to there uses that congestion control."""
    network, _, prefix = destination.partition("/")
    kind = family(network)
    scope = _SCOPE_UNIVERSE if via or kind == socket.AF_INET6 else _SCOPE_LINK
    flags = _RTNH_F_ONLINK if via else 0
    parts = [
        _RTMSG.pack(
            kind, int(prefix), 0, 0, table, _RTPROT_STATIC, scope, _RTN_UNICAST, flags
        ),
        attribute(_RTA_DST, socket.inet_pton(kind, network)) if int(prefix) else b"",
        u32(_RTA_OIF, index),
        attribute(_RTA_GATEWAY, socket.inet_pton(kind, via)) if via else b"",
        attribute(_RTA_PREFSRC, socket.inet_pton(kind, source)) if source else b"",
        nested(_RTA_METRICS, text(_RTAX_CC_ALGO, congestion_control)) if congestion_control else b"",
    ]  # fmt: skip
    what = f"add the route to {destination}{f' via {via}' if via else ''}"
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, b"".join(parts), what)


def neighbour(index: int, host: str, mac: str) -> Request:
    kind = family(host)
    body = _NDMSG.pack(kind, index, _NUD_PERMANENT, 0, 0)
    body += attribute(_NDA_DST, socket.inet_pton(kind, host)) + attribute(_NDA_LLADDR, mac_bytes(mac))
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"add the neighbour {host}")


def rule(kind: socket.AddressFamily, mark: int, table: int, priority: int) -> Request:
    """Packets with that mark go by that table, and by the next rule where it has no route (struct fib_rule_hdr)."""
    body = _RTMSG.pack(kind, 0, 0, 0, table, 0, 0, _FR_ACT_TO_TBL, 0)
    body += u32(_FRA_PRIORITY, priority) + u32(_FRA_FWMARK, mark)
    return Request(RTM_NEWRULE, NEW, body, f"send packets with mark {mark} by table {table}")


# ---- what is there ----


def links(channel: Channel) -> dict[str, LinkState]:
    """All interfaces of the channel's namespace, by name."""
    found: dict[str, LinkState] = {}
    for body in channel.ask(Request(RTM_GETLINK, NLM_F_DUMP, _IFINFO.pack(0, 0, 0, 0, 0), "list interfaces")):
        _family, _type, index, flags, _ = _IFINFO.unpack_from(body)
        has = attributes(body, 16)
        name = has[_IFLA_IFNAME].rstrip(b"\0").decode()
        mac = ":".join(f"{byte:02x}" for byte in has.get(_IFLA_ADDRESS, b""))
        # struct rtnl_link_stats64: packets, bytes, errors, dropped; of each first those received, then those sent
        _rx, sent, *_, rx_dropped, tx_dropped = struct.unpack_from("=8Q", has.get(_IFLA_STATS64, bytes(64)))
        master = int.from_bytes(has.get(_IFLA_MASTER, b""), "little")
        mtu = int.from_bytes(has[_IFLA_MTU], "little")
        found[name] = LinkState(
            index, name, flags, mac, mtu, master, has[_IFLA_OPERSTATE][0], sent, rx_dropped + tx_dropped
        )
    return found


def carried(channel: Channel, index: int, name: str) -> tuple[int, int]:
    """Bytes that an interface has received and sent."""
    request = Request(RTM_GETLINK, 0, _IFINFO.pack(0, 0, index, 0, 0), f"tell the counters of {name}")
    (body,) = channel.ask(request)
    received, sent = struct.unpack_from("=16x2Q", attributes(body, 16)[_IFLA_STATS64])
    return received, sent


def addresses(channel: Channel) -> set[tuple[int, str]]:
    """All addresses as (interface index, CIDR)."""
    found = set()
    body = _IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    for answer in channel.ask(Request(RTM_GETADDR, NLM_F_DUMP, body, "list addresses")):
        _family, prefix, _flags, _scope, index = _IFADDR.unpack_from(answer)
        has = attributes(answer, 8)
        found.add((index, f"{_text(has.get(_IFA_LOCAL) or has[_IFA_ADDRESS])}/{prefix}"))
    return found


def routes(channel: Channel, of: int = MAIN) -> set[tuple[str, int, str | None, str]]:
    """Unicast routes of a table that the kernel did not make: (destination, index, via, congestion control)."""
    found = set()
    body = _RTMSG.pack(socket.AF_UNSPEC, 0, 0, 0, of, 0, 0, 0, 0)
    for answer in channel.ask(Request(RTM_GETROUTE, NLM_F_DUMP, body, "list routes")):
        kind_of, prefix, _, _, table, protocol, _scope, kind, _flags = _RTMSG.unpack_from(answer)
        if table != of or protocol != _RTPROT_STATIC or kind != _RTN_UNICAST:
            continue
        has = attributes(answer, 12)
        via = _text(has[_RTA_GATEWAY]) if _RTA_GATEWAY in has else None
        metrics = attributes(has.get(_RTA_METRICS, b""))
        algorithm = metrics.get(_RTAX_CC_ALGO, b"").rstrip(b"\0").decode()
        destination = _text(has.get(_RTA_DST, _NOWHERE[kind_of]))
        found.add((f"{destination}/{prefix}", int.from_bytes(has[_RTA_OIF], "little"), via, algorithm))
    return found


def rules(channel: Channel, kind: socket.AddressFamily) -> set[tuple[int, int]]:
    """Which table packets of a mark go by: (mark, table)."""
    found = set()
    body = _RTMSG.pack(kind, 0, 0, 0, 0, 0, 0, 0, 0)
    for answer in channel.ask(Request(RTM_GETRULE, NLM_F_DUMP, body, "list rules")):
        table = answer[4]
        mark = attributes(answer, 12).get(_FRA_FWMARK)
        if mark is not None:
            found.add((int.from_bytes(mark, "little"), table))
    return found


def destinations(channel: Channel) -> set[str]:
    """Where unicast routes of the main table lead, whoever made them."""
    found = set()
    body = _RTMSG.pack(socket.AF_UNSPEC, 0, 0, 0, MAIN, 0, 0, 0, 0)
    for answer in channel.ask(Request(RTM_GETROUTE, NLM_F_DUMP, body, "list routes")):
        kind_of, prefix, _, _, table, _protocol, _scope, kind, _flags = _RTMSG.unpack_from(answer)
        if table == MAIN and kind == _RTN_UNICAST:
            found.add(f"{_text(attributes(answer, 12).get(_RTA_DST, _NOWHERE[kind_of]))}/{prefix}")
    return found


def neighbours(channel: Channel) -> set[tuple[int, str, str]]:
    """Permanent neighbours as (interface index, address, MAC)."""
    found = set()
    body = _NDMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    for answer in channel.ask(Request(RTM_GETNEIGH, NLM_F_DUMP, body, "list neighbours")):
        _family, index, state, _flags, _kind = _NDMSG.unpack_from(answer)
        if state != _NUD_PERMANENT:
            continue
        has = attributes(answer, 12)
        mac = ":".join(f"{byte:02x}" for byte in has.get(_NDA_LLADDR, b""))
        found.add((index, _text(has[_NDA_DST]), mac))
    return found
