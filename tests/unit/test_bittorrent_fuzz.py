"""Whatever strangers send and whenever: a peer never raises, and stays within its bounds."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from peers import content
from peers.bittorrent.metainfo import of_item
from peers.bittorrent.options import BitTorrentOptions
from peers.bittorrent.peer import Peer
from peers.core import (
    Address,
    Close,
    Closed,
    Command,
    Connect,
    Datagram,
    Drained,
    Opened,
    Received,
    Setting,
    Started,
    TimerFired,
)
from peers.wire import peer_wire as wire
from peers.wire.extension import ExtensionHandshake, MetadataData, MetadataReject, MetadataRequest, encode_metadata
from peers.wire.extension import encode_handshake as encode_extensions

PIECE = 16 * 1024
ITEMS = {"x": 3 * PIECE + 5, "y": PIECE}
HASHES = {item: of_item(item, size, PIECE).info_hash for item, size in ITEMS.items()}
conns = st.sampled_from([1, 3, 5, 2, 4])
numbers = st.sampled_from([0, 1, 2, 3, 4, 5, 16384, 2**32 - 1])
sizes = st.sampled_from([1, 5, PIECE, PIECE + 1])
metadata = st.one_of(
    st.builds(MetadataRequest, st.integers(0, 3)),
    st.builds(MetadataReject, st.integers(0, 3)),
    st.just(MetadataData(0, 0, of_item("x", ITEMS["x"], PIECE).info)),
    st.just(MetadataData(0, 0, b"d4:name2:..e")),
)
handshakes = st.builds(ExtensionHandshake, st.integers(0, 3), st.sampled_from([0, 50, 139, 999]), numbers, numbers)
blocks = st.builds(lambda piece, begin: wire.Piece(piece, begin, content.read("x", piece * PIECE + begin, PIECE)),
                   st.integers(0, 2), st.just(0))  # fmt: skip
messages = st.one_of(
    st.sampled_from([wire.KeepAlive(), wire.Choke(), wire.Unchoke(), wire.Interested(), wire.NotInterested()]),
    st.sampled_from([wire.Unchoke(), wire.Interested(), wire.Bitfield(b"\xf0"), wire.Bitfield(b"\xe0")]),
    st.builds(wire.Have, numbers),
    st.builds(wire.Bitfield, st.binary(max_size=3)),
    st.builds(wire.Request, numbers, numbers, sizes),
    st.builds(wire.Cancel, numbers, numbers, sizes),
    st.builds(wire.Piece, numbers, numbers, st.binary(min_size=1, max_size=9)),
    blocks,
    st.builds(wire.Port, numbers.map(lambda number: number % 65536)),
    st.builds(wire.Extended, st.just(0), handshakes.map(encode_extensions)),
    st.builds(wire.Extended, st.just(1), metadata.map(encode_metadata)),
    st.builds(wire.Extended, st.integers(0, 255), st.binary(max_size=20)),
)
ids = st.sampled_from([bytes(20), b"\xff" * 20, b"p" * 20])
hello = st.builds(wire.Handshake, st.sampled_from([*HASHES.values(), bytes(20)]), ids, st.booleans(), st.booleans())
steps = st.one_of(
    st.builds(Opened, conns, st.just(Address("10.0.0.9", 999)), st.just(True)),
    st.builds(Received, conns, hello.map(wire.encode_handshake)),
    st.builds(Received, conns, messages.map(wire.encode_message)),
    st.builds(Received, conns, messages.map(wire.encode_message)),
    st.builds(Received, conns, st.binary(max_size=30)),
    st.builds(Closed, conns, st.just("eof")),
    st.builds(Drained, conns),
    st.builds(Datagram, st.just(Address("10.0.0.9", 1)), st.binary(max_size=30)),
    st.sampled_from([TimerFired("tick"), TimerFired("upload"), TimerFired("download"), TimerFired("nothing")]),
    st.builds(
        lambda op, verb, item: Command(str(op), verb, {"item": item, "size_bytes": ITEMS.get(item, 7)}),
        st.integers(),
        st.sampled_from(["publish", "lookup", "download", "dump", "stop"]),
        st.sampled_from(["x", "y", "..", ""]),
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=50), st.sampled_from(["tracker", "dht", "both"]), st.booleans())
def test_a_peer_survives(happenings, discovery, seeding):
    options = BitTorrentOptions(discovery=discovery, piece_bytes=PIECE)
    peer = Peer(Setting(Address("10.0.0.1", 6881), (), Random(1), identity=Random(2)), options)
    now = 1.0
    peer.handle(now, Started())
    peer.handle(now, Command("0", "publish" if seeding else "download", {"item": "x", "size_bytes": ITEMS["x"]}))
    dialled: list[int] = []
    taken: set[int] = set()  # a shell opens no stream that is open
    for happening in [Opened(1, Address("10.0.0.9", 999), inbound=True), *happenings]:
        now += 0.7
        if isinstance(happening, Opened | Closed) and happening.conn % 2 == 0:
            if happening.conn not in dialled:
                continue
            dialled.remove(happening.conn)
        if isinstance(happening, Opened):
            if happening.conn in taken:
                continue
            happening = happening._replace(inbound=happening.conn % 2 == 1)
            taken |= {happening.conn} if happening.inbound else set()
        effects = peer.handle(now, happening)
        taken -= {effect.conn for effect in [happening, *effects] if isinstance(effect, Close | Closed)}
        dialled += [effect.conn for effect in effects if isinstance(effect, Connect)]
    for swarm in peer.swarms.values():
        assert swarm.dialling >= 0
        assert set(swarm.links) <= set(peer._links)
        assert all(len(link.uploads) <= 256 for link in swarm.links.values())
        if swarm.downloads is not None:
            assert all(
                number == sum(link.has[piece] for link in swarm.links.values() if link.has)
                for piece, number in enumerate(swarm.downloads.picker.availability)
            )
