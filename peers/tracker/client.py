"""The client: announces what it shares and asks who has an item, as BitTorrent clients do, but transfers nothing.

A tracker lists whoever asks it about a swarm as a member, and its compact answers do not tell seeders from leechers.
Real clients announce "started" with something left to download, and are listed as leechers from then on. A lookup here
does the same, and withdraws ("stopped") as soon as the answer has come, because it has nothing to give: so the
providers that others get to see are those that published, and besides them at most those who are asking right now.
Where the tracker counts no seeder, nobody has the item, whoever is listed.
(An announce that begins with "stopped" would not list the asker, but trackers answer it without peers.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import sha1
from typing import Any, ClassVar

from peers.core import Address, Core, Effect, Input, Options, Setting
from peers.families import Pair, apart
from peers.tracker.asking import Asking, Question, ignore
from peers.tracker.http_asking import HttpAsking
from peers.tracker.udp_asking import UdpAsking
from peers.wire.tracker import DEFAULT_NUMWANT, Announce, Announced, Event, Failure

PEER_ID_PREFIX = b"-PH0001-"  # Azureus style: client, version, then twelve random bytes
MIN_INTERVAL_S = 1.0  # whatever a tracker says
RETRY_SHARE_S = 5.0  # doubling: when to announce a share again that no tracker took
EPSILON_S = 0.001


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class ClientOptions(Options):
    transport: str = _option("udp", "how to ask trackers: udp (BEP 15) or http (BEP 3)")
    interval_s: float = _option(1800.0, "announce again what is shared after so long, or sooner if the tracker says so")
    retry_s: float = _option(1.5, "repeat an unanswered question after so long, doubling (BEP 15: 15 s)")
    timeout_s: float = _option(6.0, "turn to the next tracker, or give up, after so long")
    numwant: int = _option(DEFAULT_NUMWANT, "providers to ask for")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.transport not in ("udp", "http"):
            raise ValueError(f"transport is {self.transport!r}, but has to be udp or http")
        for name in ("interval_s", "retry_s", "timeout_s", "numwant"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but has to be above 0")


@dataclass(slots=True)
class Share:
    """An item that this client provides."""

    item: str
    info_hash: bytes
    failures: int = 0  # announces in a row that no tracker took
    listed: bool = False

    @property
    def timer(self) -> str:
        return f"share {self.info_hash.hex()}"


class Client(Core):
    """A client of trackers: tells them what it has, and asks them who has what it wants."""

    protocol = "tracker"
    role = "client"
    Options: ClassVar[type[Options]] = ClientOptions
    transports = frozenset({"udp"})
    default_port = 6881
    both_families = True
    verbs = frozenset({"publish", "lookup", "dump", "stop"})
    bootstrap_from = "role:tracker"

    options: ClientOptions

    def __init__(self, setting: Setting, options: ClientOptions | None = None) -> None:
        settings = apart(setting) if setting.address6 is not None else (setting,)
        super().__init__(settings[0], options)
        self.peer_id = PEER_ID_PREFIX + self.rng.randbytes(12)
        self._key = self.rng.getrandbits(32)
        self._trackers = [
            each for each in self.bootstrap if each.ipv6 == self.address.ipv6
        ]  # the one that answered last comes first (BEP 12)
        self._udp = UdpAsking(self, self._on_answer)
        self._http = HttpAsking(self, self._on_answer)
        self._asking: Asking = self._udp if self.options.transport == "udp" else self._http
        self._questions: dict[str, Question] = {}  # under way, by timer
        self._asked = 0
        self._shares: dict[str, Share] = {}  # by timer
        self._reachable: set[Address] = set()
        self._pair = self._joined_with(type(self)(settings[1], options)) if len(settings) == 2 else None

    def _joined_with(self, sister: Client) -> Pair:
        """BEP 7: a client announces itself from each of its addresses; it is known by its id and key."""
        sister.peer_id, sister._key = self.peer_id, self._key
        self.addresses = (self.address, sister.address)
        return Pair(super().handle, sister, sister._state)

    def handle(self, now: float, event: Input) -> list[Effect]:
        return super().handle(now, event) if self._pair is None else self._pair.handle(now, event)

    # ---- inputs ----

    def on_started(self) -> None:
        self.emit("ready")

    def on_datagram(self, source: Address, data: bytes) -> None:
        self._udp.on_datagram(source, data)

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        self._http.on_opened(conn)

    def on_received(self, conn: int, data: bytes) -> None:
        self._http.on_received(conn, data)

    def on_closed(self, conn: int, reason: str) -> None:
        self._http.on_closed(conn, reason)

    def on_timer(self, name: str) -> None:
        if name in self._questions:
            self._on_patience_over(self._questions[name])
        elif name in self._shares:
            self._announce(self._shares[name], None)

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=self._state())
            return
        if verb == "stop":
            self._say_goodbye()
            return
        item = args.get("item")
        info_hash = _info_hash(item)
        self.emit("op_start", op=op, verb=verb, item=str(item))
        if not isinstance(item, str) or info_hash is None:
            self._end(op, verb, str(item), ok=False, reason=f"bad item {item!r}")
        elif verb == "publish":
            share = Share(item, info_hash)
            self._announce(self._shares.setdefault(share.timer, share), op)
        else:
            self._lookup(op, item, info_hash)

    # ---- publish ----

    def _announce(self, share: Share, op: str | None) -> None:
        event: Event = "" if share.listed else "started"
        self._ask(op, self._announcement(share.info_hash, event, left=0, numwant=0), partial(self._on_listed, share))

    def _on_listed(self, share: Share, question: Question, answer: Announced | Failure) -> None:
        again_s = self.options.interval_s
        if isinstance(answer, Announced):
            share.failures, share.listed = 0, True
            again_s = min(again_s, max(answer.interval_s, MIN_INTERVAL_S))
        else:
            again_s = min(again_s, RETRY_SHARE_S * 2 ** min(share.failures, 16))
            share.failures, share.listed = share.failures + 1, False
        self.set_timer(share.timer, again_s)
        if question.op is not None:
            self._end(question.op, "publish", share.item, **_outcome(question, answer))

    def _say_goodbye(self) -> None:
        """An orderly end is told to the tracker where one datagram can do it; else it finds out two intervals later."""
        for share in self._shares.values():
            if share.listed and self._asking is self._udp:
                goodbye = self._announcement(share.info_hash, "stopped", left=0, numwant=0)
                self._ask(None, goodbye, ignore, self._trackers[:1])

    # ---- lookup ----

    def _lookup(self, op: str, item: str, info_hash: bytes) -> None:
        if f"share {info_hash.hex()}" in self._shares:
            self._end(op, "lookup", item, ok=True, providers=[str(self.address)], hops=0)
            return
        announcement = self._announcement(info_hash, "started", left=1, numwant=self.options.numwant)
        self._ask(op, announcement, partial(self._on_providers, item))

    def _on_providers(self, item: str, question: Question, answer: Announced | Failure) -> None:
        assert question.op is not None
        outcome = _outcome(question, answer)
        if isinstance(answer, Announced):
            others = [str(peer.address) for peer in answer.peers if peer.address != self.address]
            found = others if answer.seeders else []
            outcome |= {"ok": bool(found), "providers": found} | ({} if found else {"reason": "not found"})
            self._withdraw(question)
        self._end(question.op, "lookup", item, **outcome)

    def _withdraw(self, question: Question) -> None:
        """Leave the list of the tracker that answered, unless this item was published meanwhile."""
        info_hash = question.announce.info_hash
        if f"share {info_hash.hex()}" not in self._shares:
            stopped = self._announcement(info_hash, "stopped", left=1, numwant=0)
            self._ask(question.op, stopped, ignore, [question.tracker])

    # ---- questions ----

    def _announcement(self, info_hash: bytes, event: Event, left: int, numwant: int) -> Announce:
        port = self.address.port
        return Announce(info_hash, self.peer_id, port, left=left, event=event, numwant=numwant, key=self._key)

    def _ask(self, op: str | None, announce: Announce, done: Any, trackers: list[Address] | None = None) -> None:
        self._asked += 1
        question = Question(self._asked, announce, op, list(trackers or self._trackers), done)
        if not question.trackers:
            done(question, Failure("no tracker is known"))
            return
        self._questions[question.timer] = question
        self._turn_to_tracker(question)

    def _turn_to_tracker(self, question: Question) -> None:
        question.give_up_at = self.now + self.options.timeout_s
        question.attempts = 0
        question.trouble = "timeout"
        self._attempt(question)

    def _attempt(self, question: Question) -> None:
        patience_s = self.options.retry_s * 2**question.attempts  # BEP 15: 15 * 2^n
        question.attempts += 1
        question.attempts_in_all += 1
        self.set_timer(question.timer, min(patience_s, question.give_up_at - self.now))
        self._asking.ask(question)

    def _on_patience_over(self, question: Question) -> None:
        if self.now < question.give_up_at - EPSILON_S:
            self._attempt(question)
        else:
            self._set_reachable(question.tracker, False)
            self._next_tracker(question, Failure(question.trouble))

    def _on_answer(self, question: Question, answer: Announced | Failure) -> None:
        self._set_reachable(question.tracker, True)
        if isinstance(answer, Failure):
            self._next_tracker(question, Failure(f"the tracker says: {answer.text}"))
            return
        if question.tracker in self._trackers:
            self._trackers.remove(question.tracker)
            self._trackers.insert(0, question.tracker)
        self._settle(question, answer)

    def _next_tracker(self, question: Question, failure: Failure) -> None:
        if len(question.trackers) == 1:
            self._settle(question, failure)
            return
        self._asking.forget(question)
        del question.trackers[0]
        self._turn_to_tracker(question)

    def _settle(self, question: Question, answer: Announced | Failure) -> None:
        self._asking.forget(question)
        del self._questions[question.timer]
        self.cancel_timer(question.timer)
        question.done(question, answer)

    def _set_reachable(self, tracker: Address, up: bool) -> None:
        if up != (tracker in self._reachable):
            (self._reachable.add if up else self._reachable.discard)(tracker)
            self.emit("neighbour", remote=str(tracker), up=up)

    def _end(self, op: str, verb: str, item: str, **outcome: Any) -> None:
        self.emit("op_end", op=op, verb=verb, item=item, **({"providers": []} | outcome))

    def _state(self) -> dict[str, Any]:
        return {
            "peer_id": self.peer_id.hex(),
            "shared": sorted(share.item for share in self._shares.values()),
            "trackers": [str(tracker) for tracker in self._trackers],
            "reachable": sorted(str(tracker) for tracker in self._reachable),
            "questions": len(self._questions),
        }


def _outcome(question: Question, answer: Announced | Failure) -> dict[str, Any]:
    common = {"attempts": question.attempts_in_all, "tracker": str(question.tracker)} if question.trackers else {}
    if isinstance(answer, Failure):
        return {"ok": False, "reason": answer.text} | common
    return {"ok": True, "hops": 1, "seeders": answer.seeders, "leechers": answer.leechers} | common


def _info_hash(item: object) -> bytes | None:
    try:
        return sha1(item.encode()).digest() if isinstance(item, str) and item else None
    except UnicodeEncodeError:
        return None
