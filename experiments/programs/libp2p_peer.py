"""py-libp2p as a peer: GossipSub and Kademlia; commands and events as JSON lines (docs/protocols/libp2p.md).

    broadcast {item, size_bytes}    publish a message of that size in the topic that all peers subscribe to
    publish {item}                  announce to the DHT that this peer provides the item
    lookup {item}                   ask the DHT who provides it

A peer's key is made of its address, so that whoever knows the address of another knows its id as well. Connections are
secured by Noise and shared by Yamux, as everywhere in libp2p.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import time
from typing import Any

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

TOPIC = "messages"
MESHSUB = TProtocol("/meshsub/1.1.0")
DIAL_AGAIN_S = 0.5
OPERATION_S = 15.0


def key_pair(address: str) -> Any:
    return create_new_key_pair(hashlib.sha256(address.encode()).digest())


def identity(address: str) -> ID:
    return ID.from_pubkey(key_pair(address).public_key)


def at(address: str) -> multiaddr.Multiaddr:
    host, _, port = address.rpartition(":")
    return multiaddr.Multiaddr(f"/ip4/{host}/tcp/{port}")


def listening(address: Any) -> str:
    """ "10.0.0.1:4001" of a multiaddress."""
    _, _, host, _, port, *_ = str(address).split("/")
    return f"{host}:{port}"


class Peer:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.host = new_host(key_pair=key_pair(given.listen), listen_addrs=[at(given.listen)])
        self.router = GossipSub(
            [MESHSUB], degree=given.degree, degree_low=given.degree_low, degree_high=given.degree_high,
            heartbeat_interval=given.heartbeat_s, heartbeat_initial_delay=given.heartbeat_s,
        )  # fmt: skip
        self.pubsub = Pubsub(self.host, self.router)
        self.dht = KadDHT(self.host, DHTMode.SERVER, max_peers_per_subnet=0)
        self.forwarder: dict[bytes, ID] = {}

    async def run(self) -> None:
        async with (
            self.host.run(listen_addrs=[at(self.given.listen)]),
            background_trio_service(self.pubsub),
            background_trio_service(self.router),
            background_trio_service(self.dht),
            trio.open_nursery() as nursery,
        ):
            await self.pubsub.wait_until_ready()
            self.pubsub.set_topic_validator(TOPIC, self.note_forwarder, False)
            subscription = await self.pubsub.subscribe(TOPIC)
            nursery.start_soon(self.deliver, subscription)
            for address in self.given.bootstrap:
                await self.dial(address)
            tell("ready")
            await self.obey(nursery)
            nursery.cancel_scope.cancel()

    async def dial(self, address: str) -> None:
        while True:
            try:
                await listens(address)
                await self.host.connect(PeerInfo(identity(address), [at(address)]))
                break
            except Exception as error:  # noqa: BLE001 - py-libp2p raises many kinds; it is told, and tried again
                tell("said", text=f"{address}: {type(error).__name__}: {error}")
                await trio.sleep(DIAL_AGAIN_S)
        await self.dht.add_peer(identity(address))
        tell("neighbour", remote=address, up=True)

    # ---- GossipSub ----

    def note_forwarder(self, forwarder: ID, message: Any) -> bool:
        self.forwarder.setdefault(message.from_id + message.seqno, forwarder)
        return True

    async def deliver(self, subscription: Any) -> None:
        while True:
            message = await subscription.get()
            forwarder = self.forwarder.pop(message.from_id + message.seqno, None)
            if message.from_id == self.host.get_id().to_bytes():
                continue
            item = message.data.partition(b"\n")[0].decode()
            origin = self.where(forwarder) if forwarder is not None else ""
            tell("delivered", item=item, hops=None, bytes=len(message.data), **{"from": origin})

    def where(self, peer: ID) -> str:
        try:
            return listening(self.host.get_peerstore().addrs(peer)[0])
        except Exception:  # noqa: BLE001 - not identified yet
            return str(peer)

    # ---- commands ----

    async def obey(self, nursery: trio.Nursery) -> None:
        stdin = trio.lowlevel.FdStream(0)
        rest = b""
        async for data in stdin:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                nursery.start_soon(self.order, json.loads(line))

    async def order(self, order: dict[str, Any]) -> None:
        item, verb = str(order["item"]), order["verb"]
        told = {"op": order["op"], "verb": verb, "item": item}
        tell("op_start", **told)
        outcome: dict[str, Any] = {"ok": False, "providers": [], "hops": None}
        try:
            with trio.fail_after(OPERATION_S):
                work = {"broadcast": self.broadcast, "publish": self.publish, "lookup": self.lookup}[verb]
                outcome |= await work(order)
        except Exception as error:  # noqa: BLE001 - whatever it was, the operation has ended
            outcome["reason"] = f"{type(error).__name__}: {error}"
        tell("op_end", **told, **outcome)

    async def broadcast(self, order: dict[str, Any]) -> dict[str, Any]:
        head = f"{order['item']}\n".encode()
        size = max(len(head), int(order.get("size_bytes", 0)))
        await self.pubsub.publish(TOPIC, head + bytes(size - len(head)))
        return {"ok": True, "bytes": size}

    async def publish(self, order: dict[str, Any]) -> dict[str, Any]:
        stored = await self.dht.provide(order["item"])
        return {"ok": bool(stored)}

    async def lookup(self, order: dict[str, Any]) -> dict[str, Any]:
        found = await self.dht.find_providers(order["item"])
        providers = sorted({listening(info.addrs[0]) for info in found if info.addrs})
        return {"ok": bool(providers), "providers": providers, **({} if providers else {"reason": "not found"})}


async def listens(address: str) -> None:
    """Raises OSError where nobody listens yet: to dial in vain would make py-libp2p avoid the address for a while."""
    host, _, port = address.rpartition(":")
    await (await trio.open_tcp_stream(host, int(port))).aclose()


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"t_ns": time.monotonic_ns(), "event": event, **fields}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, help="ADDRESS:PORT")
    parser.add_argument("--bootstrap", action="append", default=[], help="ADDRESS:PORT of a peer to dial; repeatable")
    parser.add_argument("--degree", type=int, default=6, help="peers in the mesh of the topic (GossipSub's D)")
    parser.add_argument("--degree-low", type=int, default=4)
    parser.add_argument("--degree-high", type=int, default=12)
    parser.add_argument("--heartbeat-s", type=float, default=1.0)
    logging.disable(logging.WARNING)
    trio.run(Peer(parser.parse_args()).run)
