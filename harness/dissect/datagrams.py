"""What a UDP payload is: kind and transaction id, with as little work as will do.

Each function takes the captured bytes, the length on the wire, and whether the datagram goes to a server (None where
both ends or neither are known to be one). It returns (kind, transaction id in hex); what does not follow the
specification is "malformed".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.dissect.bencode import NotBencoded, top_level
from harness.dissect.gossip import gossip

Reading = tuple[str, str]
Datagram = Callable[[bytes, int, "bool | None"], Reading]
MALFORMED: Reading = ("malformed", "")

# ---- KRPC (BEP 5, BEP 32) ----

METHODS = frozenset({"ping", "find_node", "get_peers", "announce_peer"})
# The shapes of nearly all messages, whole and with their strings' lengths, so that no byte within a string can pass for
# structure: queries of a node and answers that carry an id, perhaps a token, and nodes. All else takes the long way.
_QUERY = re.compile(
    rb"d1:ad2:id20:.{20}(?:6:target20:.{20}|9:info_hash20:.{20})?(?:4:wantl(?:2:n[46])*e)?e1:q"
    rb"(?:4:(ping)|9:(find_node|get_peers))1:t(?:1:(.)|2:(..)|4:(....))(?:1:v4:.{4})?1:y1:qe",
    re.DOTALL,
)
_ANSWER = re.compile(
    rb"d(?:2:ip(?:6:.{6}|18:.{18}))?1:rd2:id20:.{20}(?:5:nodes(?:26:.{26}|52:.{52}|78:.{78}|104:.{104}|130:.{130}|156:.{156}|182:.{182}|208:.{208}))?"
    rb"(?:6:nodes6(?:38:.{38}|76:.{76}|114:.{114}|152:.{152}|190:.{190}|228:.{228}|266:.{266}|304:.{304}))?"
    rb"(?:5:token(?:4:.{4}|8:.{8}|20:.{20}))?(?:6:valuesl(?:6:.{6}|18:.{18})*e)?e"
    rb"1:t(?:1:(.)|2:(..)|4:(....))(?:1:v4:.{4})?1:y1:re",
    re.DOTALL,
)
_CUT_ANSWER = re.compile(rb"d(?:2:ip(?:6:.{6}|18:.{18}))?1:rd2:id20:", re.DOTALL)


def krpc(data: bytes, length: int, _to_server: bool | None) -> Reading:
    """ping, find_node, get_peers, announce_peer (queries), response, error; "unknown" for further methods."""
    match = _QUERY.fullmatch(data)
    if match:
        return (match[1] or match[2]).decode(), match[match.lastindex or 0].hex()
    match = _ANSWER.fullmatch(data)
    if match:
        return "response", match[match.lastindex or 0].hex()
    if len(data) < length and _CUT_ANSWER.match(data):
        return "response", ""  # its transaction id stands at the end, beyond the snap length
    return _krpc_slowly(data, length)


def _krpc_slowly(data: bytes, length: int) -> Reading:
    try:
        found, whole = top_level(data)
    except NotBencoded:
        return MALFORMED
    if not whole and len(data) >= length:
        return MALFORMED
    txid = (found.get(b"t") or b"").hex()
    kind = found.get(b"y") or next((sign for key, sign in _SIGNS.items() if not whole and key in found), b"")
    if kind == b"q":
        method = (found.get(b"q") or b"").decode("latin-1")
        return (method if method in METHODS else "unknown"), txid
    return {b"r": ("response", txid), b"e": ("error", txid)}.get(kind, MALFORMED)


_SIGNS = {b"q": b"q", b"a": b"q", b"r": b"r", b"e": b"e"}  # which top-level key betrays the kind of a cut message

# ---- UDP tracker (BEP 15) ----

MAGIC = 0x41727101980.to_bytes(8, "big")  # protocol_id of a connect request
ACTIONS = ("connect", "announce", "scrape", "error")
REQUEST_BYTES = (16, 98, 36)  # least lengths: connect, announce, scrape with one info_hash
RESPONSE_BYTES = (16, 20, 8, 8)


def udp_tracker(data: bytes, length: int, to_server: bool | None) -> Reading:
    """connect, announce, scrape (requests), connect_response, announce_response, scrape_response, error."""
    if to_server is None:
        to_server = not (int.from_bytes(data[:4], "big") < len(ACTIONS) and data[:8] != MAGIC)
    at = 8 if to_server else 0
    action = int.from_bytes(data[at : at + 4], "big")
    least = REQUEST_BYTES if to_server else RESPONSE_BYTES
    if len(data) < at + 8 or action >= len(least) or length < least[action]:
        return MALFORMED
    if to_server and action == 0 and data[:8] != MAGIC:
        return MALFORMED
    name = ACTIONS[action]
    return (name if to_server or name == "error" else f"{name}_response"), data[at + 4 : at + 8].hex()


# ---- probes of the harness itself (harness.emulation.prober) ----

PROBE_PORT = 7  # echo (RFC 862): no peer listens there
PROBE_MARK = b"p2p-probe"  # followed by the token, 8 bytes, which stands in for a transaction id


def probe(data: bytes, _length: int, _to_server: bool | None) -> Reading:
    """A packet sent to measure a path."""
    at = len(PROBE_MARK)
    return ("probe", data[at : at + 8].hex()) if data.startswith(PROBE_MARK) else MALFORMED


# ---- Gnutella (as in GUESS 0.1: one descriptor in a datagram) ----

DESCRIPTORS = {0x00: "ping", 0x01: "pong", 0x31: "vendor", 0x40: "push", 0x80: "query", 0x81: "queryhit"}
HEADER_BYTES = 23
WALK = {b"WALK\x01\x00": "check", b"WALK\x02\x00": "check_reply", b"WALK\x03\x00": "check_reply"}  # vendor, selector


def gnutella(data: bytes, length: int, _to_server: bool | None) -> Reading:
    """ping, pong, push, query, queryhit; of vendor messages check and check_reply, those of walkers."""
    if len(data) < HEADER_BYTES or int.from_bytes(data[19:23], "little") != length - HEADER_BYTES:
        return MALFORMED
    kind = DESCRIPTORS.get(data[16])
    if kind is None:
        return MALFORMED
    return WALK.get(data[23:29], kind) if kind == "vendor" else kind, data[:16].hex()


def bittorrent(data: bytes, length: int, to_server: bool | None) -> Reading:
    """A peer's node of the DHT has the same port as its questions to trackers; KRPC is a dictionary."""
    dictionary = data[:1] == b"d" and not to_server
    return (krpc if dictionary else udp_tracker)(data, length, to_server)


DATAGRAMS: dict[str, Datagram] = {
    "flooding": gnutella,
    "dht": krpc,
    "bittorrent": bittorrent,
    "tracker": udp_tracker,
    "gossip": gossip,
    "probe": probe,
}
