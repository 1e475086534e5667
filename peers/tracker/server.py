"""The tracker itself: HTTP (BEP 3, 23, 48) on TCP and the UDP protocol (BEP 15) on the same port."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from peers.core import Address, Core, Options, Setting
from peers.tracker.connection_ids import ConnectionIds
from peers.tracker.swarms import Swarms
from peers.wire import Malformed
from peers.wire import http_tracker as by_http
from peers.wire import udp_tracker as by_udp
from peers.wire.http import End, Head, Reader, encode_response
from peers.wire.tracker import DEFAULT_NUMWANT, Announce, Announced, Failure

MAX_NUMWANT = {False: 200, True: 66}  # 200 x 6 or, over IPv6, 66 x 18 bytes stay within one frame of 1,500 bytes
MAX_REQUEST_BODY = 1024  # nobody has a reason to send one
MIN_SWEEP_S = 1.0
SECRET_BYTES = 16


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class TrackerOptions(Options):
    interval_s: int = _option(60, "tell clients to announce again after so long (public trackers: 1800)")
    idle_s: float = _option(10.0, "close a stream whose request is not complete after so long")
    max_swarms: int = _option(20_000, "info_hashes remembered at once")
    max_members: int = _option(2_000, "members of one swarm")
    max_per_host: int = _option(0, "members of one swarm that a host may be; 0: any number")
    max_http_streams: int = _option(512, "streams open at once")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        for name in ("interval_s", "idle_s", "max_swarms", "max_members", "max_http_streams"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but has to be above 0")
        if self.max_per_host < 0:
            raise ValueError(f"max_per_host is {self.max_per_host}, but cannot be negative")


@dataclass(slots=True)
class Stream:
    remote: Address
    reader: Reader
    size: int = 0
    head: Head | None = None


class Tracker(Core):
    """A BitTorrent tracker (BEP 3 and 15): the central index of who has what.

    A member that is silent for two intervals is forgotten.
    """

    protocol = "tracker"
    role = "tracker"
    Options: ClassVar[type[Options]] = TrackerOptions
    transports = frozenset({"udp", "tcp"})
    default_port = 6969
    both_families = True
    verbs = frozenset({"dump"})

    options: TrackerOptions

    def __init__(self, setting: Setting, options: TrackerOptions | None = None) -> None:
        super().__init__(setting, options)
        o = self.options
        # by whether it is of IPv6: who asks over one family is told of its members, and how many those are (BEP 7)
        self._swarms = {
            address.ipv6: Swarms(2 * o.interval_s, o.max_swarms, o.max_members, o.max_per_host)
            for address in self.addresses
        }
        self._connection_ids = ConnectionIds(self.rng.randbytes(SECRET_BYTES))
        self._streams: dict[int, Stream] = {}

    def on_started(self) -> None:
        self.set_timer("sweep", max(self.options.interval_s, MIN_SWEEP_S))
        self.emit("ready")

    def on_timer(self, name: str) -> None:
        if name == "sweep":
            for swarms in self._swarms.values():
                swarms.expire(self.now)
            self.set_timer("sweep", max(self.options.interval_s, MIN_SWEEP_S))
        elif name.startswith("idle "):
            self._on_idle(int(name.removeprefix("idle ")))

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state={"swarms": self._dump(), "streams": len(self._streams)})

    def _dump(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = {}
        for swarms in self._swarms.values():
            for info_hash, members in swarms.dump(self.now).items():
                found.setdefault(info_hash, []).extend(members)
        return found

    # ---- both protocols ----

    def _announce(self, source: Address, announce: Announce) -> Announced | Failure:
        """The address that counts is the one the announce came from: a client cannot sign up others."""
        address, swarms = Address(source.host, announce.port), self._swarms[source.ipv6]
        if not swarms.announce(address, announce, self.now):
            self.malformed(source, "no room for another swarm or member")
            return Failure("this tracker is full")
        seeders, _, leechers = swarms.counts(announce.info_hash, self.now)
        wanted = min(announce.numwant if announce.numwant >= 0 else DEFAULT_NUMWANT, MAX_NUMWANT[source.ipv6])
        count = 0 if announce.event == "stopped" else wanted
        peers = swarms.sample(announce.info_hash, address, count, self.rng, self.now)
        return Announced(self.options.interval_s, leechers, seeders, peers)

    # ---- UDP ----

    def on_datagram(self, source: Address, data: bytes) -> None:
        try:
            connection_id, transaction, request = by_udp.decode_request(data)
        except Malformed as error:
            self.malformed(source, str(error))
            return
        self.heard(type(request).__name__.lower(), f"{transaction:08x}", source, len(data))
        answer = self._udp_answer(source, connection_id, request)
        reply = by_udp.encode_answer(transaction, answer)
        self.send(source, reply)
        self.sent(by_udp.ANSWER_KINDS[type(answer)], f"{transaction:08x}", source, len(reply))

    def _udp_answer(self, source: Address, connection_id: int, request: by_udp.Request) -> by_udp.Answer:
        if isinstance(request, by_udp.Connect):
            return by_udp.Connected(self._connection_ids.issue(source.host, self.now))
        if not self._connection_ids.valid(connection_id, source.host, self.now):
            return Failure("the connection id is not valid")
        if isinstance(request, by_udp.Scrape):
            return by_udp.Scraped(
                tuple(self._swarms[source.ipv6].counts(each, self.now) for each in request.info_hashes)
            )
        return self._announce(source, request)

    # ---- HTTP ----

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if len(self._streams) >= self.options.max_http_streams:
            self.malformed(remote, "too many streams")
            self.close(conn)
            return
        self._streams[conn] = Stream(remote, Reader("request", MAX_REQUEST_BODY))
        self.set_timer(f"idle {conn}", self.options.idle_s)

    def on_received(self, conn: int, data: bytes) -> None:
        stream = self._streams.get(conn)
        if stream is None:
            return
        stream.size += len(data)
        try:
            parts = stream.reader.feed(data)
        except Malformed as error:
            self.malformed(stream.remote, str(error))
            self._respond(conn, stream, "error", 400, b"")
            return
        for part in parts:
            if isinstance(part, Head):
                stream.head = part
            elif isinstance(part, End) and stream.head is not None:
                self._on_request(conn, stream, stream.head)
                return  # one request a stream, as on most trackers

    def on_closed(self, conn: int, reason: str) -> None:
        if self._streams.pop(conn, None) is not None:
            self.cancel_timer(f"idle {conn}")

    def _on_idle(self, conn: int) -> None:
        stream = self._streams.get(conn)
        if stream is not None:
            self.malformed(stream.remote, "the request was not complete in time")
            self._respond(conn, stream, "error", 408, b"")

    def _on_request(self, conn: int, stream: Stream, head: Head) -> None:
        path, _, query = _origin_form(head.target).partition("?")
        kind = {"/announce": "announce", "/scrape": "scrape"}.get(path, "unknown")
        self.heard(kind, f"stream-{conn}", stream.remote, stream.size)
        if kind == "unknown" or head.method != "GET":
            self._respond(conn, stream, "error", 405 if kind != "unknown" else 404, b"")
            return
        try:
            kind, body = f"{kind}_response", self._http_answer(kind, stream.remote, query)
        except Malformed as error:
            self.malformed(stream.remote, str(error))
            kind, body = "error", by_http.encode_failure(str(error))
        self._respond(conn, stream, kind, 200, body)

    def _http_answer(self, kind: str, source: Address, query: str) -> bytes:
        if kind == "scrape":
            info_hashes = by_http.decode_scrape(query)
            return by_http.encode_scraped(
                {each: self._swarms[source.ipv6].counts(each, self.now) for each in info_hashes}
            )
        question = by_http.decode_announce(query)
        answer = self._announce(source, question.announce)
        if isinstance(answer, Failure):
            return by_http.encode_failure(answer.text)
        return by_http.encode_announced(answer, question.compact, question.no_peer_id)

    def _respond(self, conn: int, stream: Stream, kind: str, status: int, body: bytes) -> None:
        data = encode_response(status, {"Content-Type": "text/plain", "Connection": "close"}, body)
        self.write(conn, data)
        self.close(conn)
        self.sent(kind, f"stream-{conn}", stream.remote, len(data))
        del self._streams[conn]
        self.cancel_timer(f"idle {conn}")


def _origin_form(target: str) -> str:
    """Servers take "http://host:port/path" for "/path" (RFC 9112 section 3.2.2)."""
    if not target.lower().startswith("http://"):
        return target
    _, slash, path = target[len("http://") :].partition("/")
    return slash + path
