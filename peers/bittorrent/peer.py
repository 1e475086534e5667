"""The peer: takes commands, joins swarms for them, tells what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from peers.bittorrent.bucket import Bucket
from peers.bittorrent.connections import Connections
from peers.bittorrent.departures import Departures
from peers.bittorrent.discovery import Announcer, SwarmNode
from peers.bittorrent.downloads import TIMER as DOWNLOAD_TIMER
from peers.bittorrent.downloads import Download
from peers.bittorrent.inner import Inner
from peers.bittorrent.link import Link
from peers.bittorrent.lookup import Lookup
from peers.bittorrent.metainfo import Metainfo, decode_torrent, encode_torrent, of_item
from peers.bittorrent.options import BitTorrentOptions
from peers.bittorrent.presence import Presence
from peers.bittorrent.state import state_of
from peers.bittorrent.swarm import Swarm
from peers.bittorrent.uploads import TIMER as UPLOAD_TIMER
from peers.bittorrent.uploads import Uploads
from peers.core import Address, Closed, Command, Datagram, Effect, Opened, Options, Received, Setting, Started
from peers.store import StoreError
from peers.tracker.client import ClientOptions
from peers.wire import Malformed

TICK_S = 1.0
MAX_TORRENT_BYTES = 16 << 20


class Peer(Connections):
    """A BitTorrent peer (BEP 3): seeds what it publishes, downloads from many at once, and seeds what it has."""

    protocol = "bittorrent"
    role = "peer"
    Options: ClassVar[type[Options]] = BitTorrentOptions
    transports = frozenset({"udp", "tcp"})
    default_port = 6881
    verbs = frozenset({"publish", "lookup", "download", "dump", "stop"})
    bootstrap_from = "role:tracker or members"

    options: BitTorrentOptions
    client = b"PH 0.1"

    def __init__(self, setting: Setting, options: BitTorrentOptions | None = None) -> None:
        super().__init__(setting, options)
        o = self.options
        self.store = setting.store
        self.uploads = Uploads(self, o.upload_rate_mbit, 2 * o.pipeline_max)
        self.departures = Departures(self)
        self.tracker: Inner | None = None
        self.dht: Inner | None = None
        self.presences: dict[bytes, Presence] = {}
        self._downloads: dict[bytes, list[Download]] = {}
        self._download_bucket = Bucket(o.download_rate_mbit, self.now)
        self._ticking = self._ready = False
        if o.by_tracker:
            asking = ClientOptions(transport=o.tracker_transport, interval_s=o.announce_s, numwant=o.numwant)
            self.tracker = Inner(Announcer(setting, asking, self.peer_id), "tracker", self._effects_of, self.connect)
        if o.by_dht:
            known = o.nodes() if o.by_tracker else (*setting.bootstrap, *o.nodes())
            node = SwarmNode(replace(setting, bootstrap=known), o.dht())
            self.dht = Inner(node, "dht", self._effects_of, self.connect)
            self.speaks_dht = True

    # ---- inputs ----

    def on_started(self) -> None:
        for inner in (self.tracker, self.dht):
            if inner is not None:
                inner.handle(self.now, Started())
        self._look_ready()
        self._resume()

    def on_datagram(self, source: Address, data: bytes) -> None:
        """Messages of the DHT are dictionaries; a tracker's begin with an action, that is with a zero."""
        inner = self.dht if data[:1] == b"d" else self.tracker
        if inner is None:
            self.malformed(source, "a datagram of another protocol")
            return
        inner.handle(self.now, Datagram(source, data))
        self._look_ready()

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if inbound or self.tracker is None or not self.tracker.on_stream(self.now, Opened(conn, remote, inbound)):
            super().on_opened(conn, remote, inbound)
            self._tick_on()

    def on_received(self, conn: int, data: bytes) -> None:
        if self.tracker is None or not self.tracker.on_stream(self.now, Received(conn, data)):
            super().on_received(conn, data)

    def on_closed(self, conn: int, reason: str) -> None:
        if self.tracker is None or not self.tracker.on_stream(self.now, Closed(conn, reason)):
            super().on_closed(conn, reason)

    def on_drained(self, conn: int) -> None:
        link = self._links.get(conn)
        if link is not None:
            self.uploads.on_drained(link)

    def on_timer(self, name: str) -> None:
        if name == "tick":
            self._tick()
        elif name == UPLOAD_TIMER:
            self.uploads.serve()
        elif name == DOWNLOAD_TIMER:
            for swarm in list(self.swarms.values()):
                if swarm.downloads is not None:
                    swarm.downloads.fill_all()
        elif not self.departures.on_timer(name):
            for inner in (self.tracker, self.dht):
                if inner is not None and inner.on_timer(self.now, name):
                    self._look_ready()

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=state_of(self))
            return
        if verb == "stop":
            for swarm in list(self.swarms.values()):
                self.leave(swarm)
            return
        item, size = args.get("item"), args.get("size_bytes", self.options.item_bytes)
        self.emit("op_start", op=op, verb=verb, item=str(item))
        try:
            if not isinstance(item, str) or not isinstance(size, int):
                raise Malformed(f"no item {item!r} of {size!r} bytes")
            metainfo = of_item(item, size, self.options.piece_bytes)
        except (Malformed, UnicodeEncodeError) as error:
            self.end(op, verb, str(item), ok=False, reason=f"bad item: {error}")
            return
        if verb == "publish":
            self._publish(op, metainfo)
        elif verb == "lookup":
            Lookup(self, op, item, metainfo.info_hash).begin()
        else:
            self._download(op, metainfo)

    # ---- commands ----

    def _publish(self, op: str, metainfo: Metainfo) -> None:
        swarm = self.swarms.get(metainfo.info_hash)
        if swarm is None or not swarm.complete:
            try:
                self.store.share(metainfo.name, metainfo.size)
            except StoreError as error:
                self.end(op, "publish", metainfo.name, ok=False, reason=f"the store failed: {error}")
                return
            if swarm is not None:
                self.leave(swarm)
            swarm = self._join(metainfo.info_hash, metainfo.name)
            swarm.adopt(metainfo, trusted=True)
        told = {"pieces": metainfo.pieces, "providers": [str(self.address)]}
        presence = self.presences[metainfo.info_hash]
        presence.begin(op, lambda outcome: self.end(op, "publish", metainfo.name, **(told | outcome)))

    def _download(self, op: str, metainfo: Metainfo) -> None:
        """The metainfo stands for the web page that a user has it from, or, for BEP 9, its info_hash alone does."""
        info_hash = metainfo.info_hash
        self._downloads.setdefault(info_hash, []).append(Download(op, metainfo.name, self.now))
        swarm = self.swarms.get(info_hash)
        if swarm is None:
            swarm = self._join(info_hash, metainfo.name)
            if not self.options.by_metadata:
                swarm.adopt(metainfo)
            if swarm.wants:
                self.presences[info_hash].begin(op, lambda _: None)
        elif swarm.complete:
            self._finish(swarm)

    def end(self, op: str, verb: str, item: str, **outcome: Any) -> None:
        self.emit("op_end", op=op, verb=verb, item=item, **({"providers": []} | outcome))

    # ---- for swarms ----

    def op_of(self, link: Link) -> str | None:
        under_way = self._downloads.get(link.swarm.info_hash) if link.swarm else None
        return under_way[0].op if under_way else None

    def may_ask(self, count: int) -> bool:
        if self._download_bucket.take(count, self.now):
            return True
        self.set_timer(DOWNLOAD_TIMER, self._download_bucket.wait_s(count))
        return False

    def keep_torrent(self, metainfo: Metainfo) -> None:
        """So that it is known after a restart. Raises StoreError."""
        name = f"{metainfo.name}.torrent"
        if self.store.size(name) is None:
            self.store.write(name, 0, encode_torrent(metainfo))

    def on_complete(self, swarm: Swarm) -> None:
        downloading = swarm.info_hash in self._downloads
        self._finish(swarm)
        if downloading:
            self.presences[swarm.info_hash].completed()
            self.departures.downloaded(swarm)

    def on_failed(self, swarm: Swarm) -> None:
        for download in self._downloads.pop(swarm.info_hash, []):
            self._end_download(swarm, download, ok=False, reason=swarm.failed)
        self.presences[swarm.info_hash].end()

    def on_dht_port(self, link: Link, port: int) -> None:
        if self.dht is not None:
            self.dht.handle(self.now, Command("", "ping", {"address": Address(link.remote.host, port)}))

    def leave(self, swarm: Swarm, gone: Callable[[], None] | None = None) -> None:
        """`gone` is called once trackers have taken the goodbye."""
        for download in self._downloads.pop(swarm.info_hash, []):
            self._end_download(swarm, download, ok=False, reason="left the swarm")
        del self.swarms[swarm.info_hash]
        for link in list(swarm.links.values()):
            self.part(link, "leaving")
        self.presences.pop(swarm.info_hash).end(gone)

    # ---- inside ----

    def _join(self, info_hash: bytes, item: str) -> Swarm:
        swarm = self.swarms[info_hash] = Swarm(self, info_hash, item)
        self.presences[info_hash] = Presence(self, swarm)
        self._tick_on()
        return swarm

    def _resume(self) -> None:
        """Go on with what is on the disk since before a restart."""
        for name in [name for name in self.store.names() if name.endswith(".torrent")]:
            size = self.store.size(name) or 0
            try:
                metainfo = decode_torrent(self.store.read(name, 0, size) if size <= MAX_TORRENT_BYTES else b"")
            except (Malformed, StoreError) as error:
                self.malformed(self.address, f"{name}: {error}")
                continue
            if metainfo.info_hash not in self.swarms:
                self._join(metainfo.info_hash, metainfo.name).adopt(metainfo)
                self.presences[metainfo.info_hash].tick()

    def _finish(self, swarm: Swarm) -> None:
        for download in self._downloads.pop(swarm.info_hash, []):
            self._end_download(swarm, download, ok=True)

    def _end_download(self, swarm: Swarm, download: Download, ok: bool, **more: Any) -> None:
        downloads, pieces = swarm.downloads, swarm.pieces
        numbers: dict[str, Any] = {"bytes": 0}
        sources: list[str] = []
        if downloads is not None and pieces is not None:
            sources = sorted(downloads.sources) or ([str(self.address)] if ok else [])
            numbers = {
                "bytes": pieces.have_bytes,
                "received_bytes": downloads.received_bytes,
                "wasted_bytes": downloads.wasted_bytes,
                "pieces": len(pieces.have) - pieces.missing,
                "bad_pieces": downloads.bad_pieces,
                "sources": len(downloads.sources),
            }
        self.end(download.op, "download", download.item, ok=ok, providers=sources, **numbers, **more)

    def _tick_on(self) -> None:
        if not self._ticking:
            self._ticking = True
            self.set_timer("tick", TICK_S)

    def _tick(self) -> None:
        self.drop_silent()
        for swarm in list(self.swarms.values()):
            self._tell_progress(swarm)
            if swarm.failed:
                continue
            swarm.tick()
            self.presences[swarm.info_hash].tick()
        self._ticking = False
        if self.swarms or self._links:
            self._tick_on()

    def _tell_progress(self, swarm: Swarm) -> None:
        limit_s = self.options.download_timeout_s
        for download in self._downloads.get(swarm.info_hash, [])[:]:
            have = swarm.pieces.have_bytes if swarm.pieces else 0
            if have != download.told_bytes:
                download.told_bytes = have
                self.emit("progress", op=download.op, item=download.item, have_bytes=have)
            if limit_s and self.now - download.began > limit_s:
                self._downloads[swarm.info_hash].remove(download)
                self._end_download(swarm, download, ok=False, reason="timeout")

    def _look_ready(self) -> None:
        if not self._ready and (self.dht is None or self.dht.ready):
            self._ready = True
            self.emit("ready")

    def _effects_of(self, effect: Effect) -> None:
        self._effects.append(effect)
