"""libtorrent (rasterbar) as a peer: commands as JSON lines on standard input, events as JSON lines on standard output.

    publish {item}     with ITEM.torrent in this directory: share the file ITEM. Without: announce to the DHT that this
                       node provides the item (info_hash = SHA-1 of its name)
    lookup {item}      ask the DHT who provides it
    download {item}    fetch what ITEM.torrent describes, and go on sharing it

libtorrent (https://libtorrent.org, BSD) is the library of Deluge and qBittorrent. The settings marked "private" let it
work among addresses that are not of the Internet.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import time
from pathlib import Path
from typing import Any

import libtorrent as lt

LOOKUP_S = 10.0  # libtorrent does not say when a lookup has found nothing
CATEGORIES = (
    lt.alert.category_t.status_notification
    | lt.alert.category_t.error_notification
    | lt.alert.category_t.dht_notification
    | lt.alert.category_t.dht_operation_notification
    | lt.alert.category_t.dht_log_notification
    | lt.alert.category_t.tracker_notification
    | lt.alert.category_t.connect_notification
)
PRIVATE = {
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_enforce_node_id": False,
    "dht_ignore_dark_internet": False,
    "allow_multiple_connections_per_ip": True,
    "announce_to_all_trackers": True,
}


class Peer:
    def __init__(self, listen: str, bootstrap: list[str], dht: bool) -> None:
        self.host, _, port = listen.rpartition(":")
        self.port = int(port)
        self.session = lt.session({
            **PRIVATE, "listen_interfaces": listen, "enable_dht": dht, "dht_bootstrap_nodes": ",".join(bootstrap),
            "enable_incoming_utp": False, "enable_outgoing_utp": False,
            "alert_mask": CATEGORIES, "alert_queue_size": 100_000,
        })  # fmt: skip
        self.waits_for_dht = dht and bool(bootstrap)
        self.ready = False
        self.lookups: dict[str, tuple[dict[str, Any], float]] = {}  # info_hash: order, when to give up
        self.announces: dict[str, dict[str, Any]] = {}  # info_hash: order
        self.asked: dict[bytes, str] = {}  # transaction: info_hash of an announce_peer
        self.downloads: dict[str, dict[str, Any]] = {}  # name: order
        self.wake, write = os.pipe()
        os.set_blocking(write, False)
        self.session.set_alert_fd(write)

    def run(self) -> None:
        rest = b""
        while True:
            gives_up = min((until for _, until in self.lookups.values()), default=None)
            timeout = None if gives_up is None else max(0.0, gives_up - time.monotonic())
            for descriptor in select.select([0, self.wake], [], [], timeout)[0]:
                data = os.read(descriptor, 65536)
                if descriptor == 0:
                    if not data:
                        return
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self.order(json.loads(line))
            for alert in self.session.pop_alerts():
                self.heard(alert)
            self.give_up()

    # ---- commands ----

    def order(self, order: dict[str, Any]) -> None:
        item, verb = str(order["item"]), order["verb"]
        tell("op_start", op=order["op"], verb=verb, item=item)
        key = hashlib.sha1(item.encode()).hexdigest()
        torrent = Path(f"{item}.torrent")
        if verb == "lookup":
            self.lookups[key] = order, time.monotonic() + LOOKUP_S
            self.session.dht_get_peers(lt.sha1_hash(bytes.fromhex(key)))
        elif torrent.exists():
            given = lt.add_torrent_params()
            given.ti, given.save_path = lt.torrent_info(str(torrent)), "."
            self.downloads[item] = order
            self.session.add_torrent(given)
        elif verb == "publish":
            self.announces[key] = order
            self.session.dht_announce(lt.sha1_hash(bytes.fromhex(key)), self.port, 0)
        else:
            self.end(order, ok=False, reason=f"there is no {torrent}")

    def end(self, order: dict[str, Any], ok: bool, providers: list[str] | None = None, **more: Any) -> None:
        told = {"op": order["op"], "verb": order["verb"], "item": order["item"], "ok": ok}
        tell("op_end", **told, providers=providers or [], hops=None, **more)

    def give_up(self) -> None:
        for key, (order, until) in list(self.lookups.items()):
            if time.monotonic() >= until:
                del self.lookups[key]
                self.end(order, ok=False, reason="not found")

    # ---- what libtorrent says ----

    def heard(self, alert: Any) -> None:
        kind = type(alert).__name__
        if kind in ("listen_succeeded_alert", "dht_bootstrap_alert"):
            self.begin(bootstrapped=kind == "dht_bootstrap_alert")
        elif kind == "listen_failed_alert":
            raise SystemExit(alert.message())
        elif kind == "dht_get_peers_reply_alert":
            self.found(str(alert.info_hash), [f"{host}:{port}" for host, port in alert.peers()])
        elif kind == "dht_pkt_alert":
            self.packet(alert)
        elif kind == "peer_connect_alert":
            host, port = alert.endpoint
            tell("neighbour", remote=f"{host}:{port}", up=True)
        elif kind in ("torrent_finished_alert", "torrent_checked_alert"):
            self.finished(alert.handle)
        elif "error" in kind or "failed" in kind:
            tell("said", text=f"{kind}: {alert.message()}")

    def begin(self, bootstrapped: bool) -> None:
        if not self.ready and (bootstrapped or not self.waits_for_dht):
            self.ready = True
            tell("ready")

    def found(self, key: str, providers: list[str]) -> None:
        if providers and key in self.lookups:
            order, _ = self.lookups.pop(key)
            self.end(order, ok=True, providers=providers)

    def packet(self, alert: Any) -> None:
        """An announcement is done when the first node confirms it: libtorrent itself does not say."""
        try:
            message = lt.bdecode(bytes(alert.pkt_buf))
        except (RuntimeError, AttributeError):
            return
        if not isinstance(message, dict):
            return
        transaction = bytes(message.get(b"t", b""))
        if message.get(b"q") == b"announce_peer":
            self.asked[transaction] = bytes(message[b"a"][b"info_hash"]).hex()
        elif message.get(b"y") == b"r" and (key := self.asked.pop(transaction, "")) in self.announces:
            self.end(self.announces.pop(key), ok=True)

    def finished(self, handle: Any) -> None:
        status = handle.status()
        if status.is_seeding and status.name in self.downloads:
            senders = [peer for peer in handle.get_peer_info() if peer.total_download]
            providers = sorted(f"{peer.ip[0]}:{peer.ip[1]}" for peer in senders)
            self.end(self.downloads.pop(status.name), True, providers, bytes=status.total_payload_download)


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"t_ns": time.monotonic_ns(), "event": event, **fields}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, help="ADDRESS:PORT")
    parser.add_argument("--bootstrap", default="", help="DHT nodes, ADDRESS:PORT,...")
    parser.add_argument("--no-dht", action="store_true")
    given = parser.parse_args()
    Peer(given.listen, [text for text in given.bootstrap.split(",") if text], not given.no_dht).run()
