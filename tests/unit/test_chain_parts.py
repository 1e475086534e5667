"""Blocks byte by byte, the tree with its branches, the ledger, the disk."""

import struct
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.chain.disk import FILE, Disk
from peers.chain.ledger import Ledger
from peers.chain.tree import MAX_ORPHANS, BlockTree
from peers.core import Address
from peers.store import MemoryStore
from peers.wire import Malformed
from peers.wire.chain import GENESIS, HEADER_BYTES, Block, Transaction
from peers.wire.gossip import BLOCK, TRANSACTION, Message

MINER = Address("10.0.0.3", 8444)  # 8444 = 0x20FC


def tx(name, body=b""):
    return Transaction.of(Message.make(name, body, TRANSACTION))


def block(parent, height, *names, found_us=0, size=0):
    return Block.make(parent, height, MINER, found_us, tuple(tx(name) for name in names), size)


def branch(tree, parent, height, count, found_us, *names):
    """A branch of so many blocks upon a parent, put into the tree; its blocks and the last change."""
    blocks, change = [], None
    for number in range(count):
        blocks.append(block(parent, height + number + 1, *(names if number == 0 else ()), found_us=found_us))
        parent = blocks[-1].hash
        change = tree.add(blocks[-1])
    return blocks, change


# ---- on the wire ----


def test_a_block_byte_by_byte():
    made = Block.make(b"p" * 32, 258, MINER, 7, (tx("ab", b"xyz"),), 80)
    head = b"p" * 32 + b"\0\0\x01\x02" + b"\x0a\0\0\x03" + b"\x20\xfc" + b"\0\0\0\0\0\0\0\x07" + b"\0\x01"
    body = head + b"\x01" + b"\0\0\0\x03" + b"ab" + b"xyz" + bytes(80 - 52 - 10)
    assert made.encode() == body
    assert HEADER_BYTES == 52
    assert made.size == len(made.trimmed()) == 62
    # the hash: topic 2, name of 5 bytes, name, body
    assert made.hash == sha256(b"\x02" + b"\0\x05" + b"block" + body).digest()
    assert Block.of(made.message()) == made


def test_transactions_that_spend_the_same_coin():
    assert tx("coin7/merchant").coin == tx("coin7/self").coin == "coin7"
    assert tx("msg12").coin == "msg12"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (bytes(51), "block of 51 bytes"),
        (b"p" * 32 + struct.pack(">I4sHQH", 0, bytes(4), 1, 0, 0), "height 0"),
        (b"p" * 32 + struct.pack(">I4sHQH", 1, bytes(4), 0, 0, 0), "port 0"),
        (b"p" * 32 + struct.pack(">I4sHQH", 1, bytes(4), 1, 0, 1), "cut short"),
        (b"p" * 32 + struct.pack(">I4sHQH", 1, bytes(4), 1, 0, 1) + b"\0\xff\xff\xff\xffa", "cut short"),
        (b"p" * 32 + struct.pack(">I4sHQH", 1, bytes(4), 1, 0, 1) + b"\0\0\0\0\0\xff", "UTF-8"),
        (b"p" * 32 + struct.pack(">I4sHQH", 1, bytes(4), 1, 0, 0) + b"\0\x01", "filling"),
    ],
)
def test_refused(body, reason):
    with pytest.raises(Malformed, match=reason):
        Block.of(Message.make("block", body, BLOCK))


@given(st.binary(max_size=200))
def test_arbitrary_bodies_raise_nothing_but_malformed(body):
    try:
        found = Block.of(Message.make("block", body, BLOCK))
    except Malformed:
        return
    assert found.encode() == body


# ---- the tree ----


def test_the_first_of_two_equal_branches_stays_and_a_longer_one_wins():
    tree = BlockTree()
    ours, change = branch(tree, GENESIS, 0, 2, 1)
    assert change.added == [ours[1]]
    theirs, change = branch(tree, GENESIS, 0, 2, 2)
    assert change is None
    assert tree.head == ours[1].hash
    third, change = branch(tree, theirs[1].hash, 2, 1, 2)
    assert change.undone == [ours[1], ours[0]]
    assert change.added == [*theirs, *third]
    assert tree.best == [GENESIS, theirs[0].hash, theirs[1].hash, third[0].hash]
    assert tree.in_chain(ours[0].hash) is None
    assert tree.in_chain(third[0].hash) == 3


def test_heights_must_be_right():
    tree = BlockTree()
    with pytest.raises(Malformed, match="height 2 upon one of height 0"):
        tree.add(block(GENESIS, 2))


def test_locators_thin_out_towards_the_genesis():
    tree = BlockTree()
    branch(tree, GENESIS, 0, 100, 1)
    heights = [tree.best.index(found) for found in tree.locator()]
    assert heights == [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 89, 85, 77, 61, 29, 0]


def test_what_follows_a_locator():
    tree, other = BlockTree(), BlockTree()
    common, _ = branch(tree, GENESIS, 0, 5, 1)
    for each in common:
        other.add(each)
    ours, _ = branch(tree, common[-1].hash, 5, 3, 1)
    branch(other, common[-1].hash, 5, 2, 2)
    assert tree.after(other.locator(), 50) == [each.hash for each in ours]
    assert tree.after(other.locator(), 2) == [each.hash for each in ours[:2]]
    assert tree.after(tree.locator(), 50) == []
    assert tree.after([b"?" * 32], 2) == [each.hash for each in common[:2]]


def test_orphans_are_bounded_and_come_home():
    tree = BlockTree()
    first = block(GENESIS, 1)
    child = block(first.hash, 2)
    assert tree.adopt(child) == []
    for number in range(MAX_ORPHANS - 1):
        assert tree.adopt(block(b"?" * 32, 9, found_us=number)) == []
    assert tree.children(first.hash) == [child]
    tree.adopt(block(b"?" * 32, 9, found_us=1000))
    assert [lost.found_us for lost in tree.adopt(block(b"?" * 32, 9, found_us=1001))] == [0]
    assert len(tree.orphans) == MAX_ORPHANS


def test_large_orphans_make_room_for_each_other():
    tree = BlockTree()
    big = [Block.make(b"?" * 32, 9, MINER, n, (tx("x", bytes(2_000_000)),), 0) for n in range(5)]
    lost = [each.found_us for orphan in big for each in tree.adopt(orphan)]
    assert lost == [0]
    assert len(tree.orphans) == 4


# ---- the ledger ----


def follow(ledger, change):
    ledger.switch(change)
    confirmed, lost = ledger.news(change)
    return [name for name, _ in confirmed], [name for name, _ in lost]


def test_an_undone_payment_waits_again():
    tree = BlockTree()
    ledger = Ledger(tree, 1)
    assert ledger.take(tx("pay"))
    _, change = branch(tree, GENESIS, 0, 1, 1, "pay")
    assert follow(ledger, change) == (["pay"], [])
    assert not ledger.waiting
    _, change = branch(tree, GENESIS, 0, 2, 2)
    assert follow(ledger, change) == ([], ["pay"])
    assert [each.name for each in ledger.next_block(1000)] == ["pay"]


def test_a_double_spend_undoes_it_for_good():
    tree = BlockTree()
    ledger = Ledger(tree, 1)
    _, change = branch(tree, GENESIS, 0, 1, 1, "coin/merchant")
    follow(ledger, change)
    _, change = branch(tree, GENESIS, 0, 2, 2, "coin/self")
    assert follow(ledger, change) == (["coin/self"], ["coin/merchant"])
    assert not ledger.waiting
    assert not ledger.take(tx("coin/merchant"))


def test_what_both_histories_have_stays_confirmed():
    tree = BlockTree()
    ledger = Ledger(tree, 1)
    _, change = branch(tree, GENESIS, 0, 1, 1, "pay")
    follow(ledger, change)
    _, change = branch(tree, GENESIS, 0, 2, 2, "pay")
    assert follow(ledger, change) == ([], [])


def test_confirmations_are_counted_in_blocks():
    tree = BlockTree()
    ledger = Ledger(tree, 3)
    blocks, change = branch(tree, GENESIS, 0, 1, 1, "pay")
    assert follow(ledger, change) == ([], [])
    following, change = branch(tree, blocks[0].hash, 1, 1, 1)
    assert follow(ledger, change) == ([], [])
    _, change = branch(tree, following[0].hash, 2, 1, 1)
    assert follow(ledger, change) == (["pay"], [])


def test_a_block_takes_what_fits():
    ledger = Ledger(BlockTree(), 1)
    for name, body in (("a", bytes(10)), ("b", bytes(500)), ("c", bytes(10))):
        ledger.take(tx(name, body))
    assert [each.name for each in ledger.next_block(100)] == ["a", "c"]  # 5 + 1 + 10 bytes each
    assert not ledger.take(tx("a", b"else"))


# ---- the disk ----


class Store:
    def __init__(self):
        self.data = bytearray()

    def size(self, name):
        assert name == FILE
        return len(self.data) or None

    def read(self, name, offset, count):
        return bytes(self.data[offset : offset + count])

    def write(self, name, offset, data):
        self.data[offset : offset + len(data)] = data


def test_what_was_half_written_is_left_out_and_overwritten():
    store = Store()
    disk = Disk(store)
    first, second = block(GENESIS, 1, "a", size=500), block(GENESIS, 1, "b", size=500)
    disk.append(first)
    disk.append(second)
    assert len(store.data) == 2 * (8 + 52 + 6)  # the filling takes no room
    assert list(Disk(store).blocks()) == [first, second]
    del store.data[-1]
    again = Disk(store)
    assert list(again.blocks()) == [first]
    again.append(second)
    assert list(Disk(store).blocks()) == [first, second]


def test_without_room_on_its_disk_a_node_goes_on():
    disk = Disk(MemoryStore(max_bytes=100))
    disk.append(block(GENESIS, 1, "a"))
    disk.append(block(GENESIS, 1, "b"))
    assert disk.failure
    assert len(list(Disk(disk.store).blocks())) == 1
