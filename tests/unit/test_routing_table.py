"""The routing table on hand-made ids: own id 0, contacts written as their first bits, k = 2, times in seconds."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address
from peers.dht.routing_table import RoutingTable
from peers.wire.krpc import ID_BITS, NodeInfo

GOOD_S, BACKOFF_S = 900.0, 5.0


def node(bits, host=1):
    """The node whose id begins with these bits, all others being 0."""
    return NodeInfo(int(bits.ljust(ID_BITS, "0"), 2), Address(f"10.0.0.{host}", 6881))


def make(k=2):
    edges = []
    table = RoutingTable(0, k, GOOD_S, BACKOFF_S, lambda address, up: edges.append((address.host, up)))
    return table, edges


def ids(bucket):
    return list(bucket.contacts)


A, B, C, D = (node(bits, host) for host, bits in enumerate(("1000", "1001", "1010", "1011"), 1))


def test_only_the_bucket_of_our_own_id_splits():
    table, _ = make()
    for newcomer in (A, B, C):
        assert table.answered(newcomer, 0.0) is None
    # A and B fill the first bucket; C shares no bit with us either, and waits
    assert [ids(bucket) for bucket in table.buckets] == [[A.id, B.id], []]
    assert list(table.buckets[0].replacements) == [C.id]
    near, nearer = node("01", 5), node("0001", 6)
    table.answered(near, 0.0)
    table.answered(nearer, 0.0)
    assert [ids(bucket) for bucket in table.buckets] == [[A.id, B.id], [near.id, nearer.id]]
    nearest = node("00001", 7)
    table.answered(nearest, 0.0)
    # the second bucket splits: 01 shares one bit with us, the others two or more
    assert [ids(bucket) for bucket in table.buckets] == [[A.id, B.id], [near.id], [nearer.id, nearest.id]]
    assert len(table) == 5


def test_splits_go_on_until_there_is_room():
    table, _ = make()
    for newcomer in (node("0001", 1), node("00011", 2), node("00001", 3)):
        table.answered(newcomer, 0.0)
    # all share three bits or more: buckets 0 to 2 stay empty, and two of the three share exactly three
    assert [len(bucket.contacts) for bucket in table.buckets] == [0, 0, 0, 2, 1]


def test_replacements_move_with_a_split():
    table, _ = make()
    for newcomer in (A, B, C, D):
        table.answered(newcomer, 0.0)
    table.answered(node("01", 5), 0.0)
    assert list(table.buckets[0].replacements) == [C.id, D.id]
    assert not table.buckets[1].replacements


def test_we_are_not_our_own_contact():
    table, edges = make()
    assert table.answered(NodeInfo(0, A.address), 0.0) is None
    assert table.asked(NodeInfo(0, A.address), 0.0) is None
    assert (len(table), edges) == (0, [])


def test_who_asks_has_to_answer_before_it_is_a_contact():
    table, edges = make()
    assert table.asked(A, 0.0) == A  # to be pinged
    assert len(table) == 0
    table.answered(A, 0.1)
    assert table.get(A.id).heard_at == 0.1
    assert edges == [("10.0.0.1", True)]


def test_who_asks_a_full_bucket_of_good_contacts_only_waits():
    table, _ = make()
    for newcomer in (A, B):
        table.answered(newcomer, 0.0)
    table.answered(node("01", 5), 0.0)  # now the first bucket is not our own any more
    assert table.asked(C, 1.0) is None
    assert list(table.buckets[0].replacements) == [C.id]


def test_eviction_by_ping():
    table, edges = make()
    table.answered(A, 0.0)
    table.answered(B, 10.0)
    table.answered(node("01", 5), 10.0)
    # at 900 s A is still good, at 901 s questionable: silent for more than 15 minutes
    assert table.answered(C, 900.0) is None
    assert table.answered(C, 901.0) == A
    # A answers and keeps its place; B, silent since 10 s, is the next to prove that it lives
    assert table.answered(A, 902.0) is None
    assert table.answered(A, 911.0) == B
    # B does not answer: questionable and silent is bad, and C is asked to take its place
    assert table.failed(B.id, 912.0) == C
    assert ("10.0.0.2", False) in edges
    assert table.answered(C, 912.1) is None
    assert ids(table.buckets[0]) == [A.id, C.id]
    assert not table.buckets[0].replacements


def test_the_newest_replacement_comes_first_and_only_k_wait():
    table, _ = make()
    for newcomer in (A, B, node("01", 5)):
        table.answered(newcomer, 0.0)
    others = [node(bits, host) for host, bits in enumerate(("1010", "1011", "1100"), 10)]
    for newcomer in others:
        table.answered(newcomer, 1.0)
    assert list(table.buckets[0].replacements) == [others[1].id, others[2].id]
    table.failed(A.id, 2.0)
    assert table.failed(A.id, 3.0) == others[2]


def test_a_good_contact_is_bad_after_two_failures_and_stays_while_nobody_waits():
    table, edges = make()
    table.answered(A, 0.0)
    assert table.failed(A.id, 1.0) is None
    assert not table.get(A.id).bad
    assert table.closest(0, 8) == [A]
    table.failed(A.id, 2.0)
    assert table.get(A.id).bad
    assert table.closest(0, 8) == []  # others are not told of it
    assert table.seeds(0, 8, 2.0) == [A]  # but when it is all we have, it is where we begin
    table.answered(A, 3.0)
    assert table.closest(0, 8) == [A]
    assert edges == [("10.0.0.1", up) for up in (True, False, True)]


def test_a_bad_contact_gives_way_to_a_newcomer():
    table, _ = make()
    for newcomer in (A, B, node("01", 5)):
        table.answered(newcomer, 0.0)
    table.failed(A.id, 1.0)
    table.failed(A.id, 2.0)
    assert table.asked(C, 3.0) == C
    table.answered(C, 3.1)
    assert ids(table.buckets[0]) == [B.id, C.id]


def test_back_off_doubles_with_each_failure():
    table, _ = make()
    table.answered(A, 0.0)
    table.answered(node("01", 5), 0.0)
    for failures, backoff_s in ((1, 5), (2, 10), (3, 20), (4, 40)):
        table.failed(A.id, 100.0)
        assert table.get(A.id).failures == failures
        assert table.get(A.id).locked_until == 100.0 + backoff_s
    for _ in range(20):
        table.failed(A.id, 100.0)
    assert table.get(A.id).locked_until == 100.0 + GOOD_S  # and not beyond
    assert A not in table.seeds(0, 8, 999.0)
    assert A in table.seeds(0, 8, 1000.0)


def test_a_contact_that_asks_is_not_left_alone_any_longer():
    table, _ = make()
    table.answered(A, 0.0)
    table.failed(A.id, 1.0)
    assert table.get(A.id).locked_until == 6.0
    assert table.asked(A, 2.0) is None
    assert table.get(A.id).locked_until == 0.0
    table.failed(A.id, 3.0)
    assert table.asked(A, 4.0) == A  # bad by now: it asks, but whether it can be reached, a ping has to tell


def test_an_id_is_not_taken_over_from_another_address_while_its_owner_lives():
    table, edges = make()
    table.answered(A, 0.0)
    thief = NodeInfo(A.id, Address("10.0.0.66", 6881))
    table.answered(thief, 1.0)
    table.asked(thief, 1.0)
    assert table.get(A.id).info == A
    table.failed(A.id, 2.0)
    table.failed(A.id, 2.0)
    table.answered(thief, 3.0)
    assert table.get(A.id).info == thief
    assert edges[-1] == ("10.0.0.66", True)


def test_a_node_that_restarted_under_another_id():
    table, edges = make()
    for newcomer in (A, B, node("01", 5), C):
        table.answered(newcomer, 0.0)
    assert table.vanished(A.id) == C
    assert table.get(A.id) is None
    assert table.vanished(A.id) is None
    assert edges[-1] == ("10.0.0.1", False)


def test_failures_of_strangers_change_nothing():
    table, _ = make()
    for newcomer in (A, B, node("01", 5), C):
        table.answered(newcomer, 0.0)
    assert table.failed(D.id, 1.0) is None
    assert table.failed(C.id, 1.0) is None
    assert not table.buckets[0].replacements


def test_the_k_closest_to_ourselves_have_a_place_even_in_a_full_bucket():
    table, edges = make()
    far, middle, near = node("1110", 1), node("1100", 2), node("1001", 3)
    for newcomer in (far, middle, node("01", 5)):
        table.answered(newcomer, 0.0)
    # known are 01, 1100, 1110; of these and 1001 the two closest to 0 are 01 and 1001: 1001 comes in, as one too many,
    # and the one that came last of those not among the two closest, 1100, has to go
    assert table.asked(near, 1.0) == near
    table.answered(near, 1.0)
    assert ids(table.buckets[0]) == [far.id, near.id]
    assert edges[-2:] == [("10.0.0.3", True), ("10.0.0.2", False)]
    # 1010 is farther than 01 and 1001
    assert table.asked(C, 2.0) is None
    assert ids(table.buckets[0]) == [far.id, near.id]


def test_gaps():
    table, _ = make()
    for newcomer in (A, B, node("01", 5), node("001", 6), node("0001", 7)):
        table.answered(newcomer, 0.0)
    # bucket 0 is full, bucket 1 has 01 alone, the last one both others
    [gap] = table.gaps(Random(1))
    assert gap >> ID_BITS - 2 == 0b01


def test_closest_by_xor():
    table, _ = make(k=8)
    nodes = [node(bits, host) for host, bits in enumerate(("0001", "0010", "0011", "0100", "0101"), 1)]
    for each in nodes:
        table.answered(each, 0.0)
    # distances to 0110 in the first four bits: 0111, 0100, 0101, 0010, 0011
    assert table.closest(node("0110").id, 3) == [nodes[3], nodes[4], nodes[1]]


def test_idle_buckets_and_their_random_ids():
    table, _ = make()
    for newcomer in (A, B, node("01", 5), node("001", 6), node("0001", 7)):
        table.answered(newcomer, 100.0)
    assert len(table.buckets) == 3
    table.touch(A.id, 200.0)
    rng = Random(1)
    second, last = table.idle(1000.0, 900.0, rng)
    # bucket 1 holds ids that begin with 01, the last one those that begin with 00
    assert (second >> ID_BITS - 2, last >> ID_BITS - 2) == (0b01, 0b00)
    assert table.idle(999.0, 900.0, rng) == []
    assert len(table.idle(1100.0, 900.0, rng)) == 3
    assert all(table.random_id(0, rng) >> ID_BITS - 1 == 1 for _ in range(20))


def test_random_ids_for_an_own_id_of_ones():
    own_id = (1 << ID_BITS) - 1
    table = RoutingTable(own_id, 2, GOOD_S, BACKOFF_S, lambda address, up: None)
    for number in range(1, 6):
        table.answered(NodeInfo(own_id - number, A.address), 0.0)
    assert len(table.buckets) > 150
    rng = Random(1)
    for index in range(len(table.buckets) - 1):
        shared_bits = ID_BITS - (table.random_id(index, rng) ^ own_id).bit_length()
        assert shared_bits == index


def test_any_history_keeps_the_table_in_order():
    rng = Random(7)
    table, edges = make(k=3)
    nodes = [NodeInfo(rng.getrandbits(ID_BITS) >> rng.randrange(0, 12), Address("10.0.0.1", n + 1)) for n in range(80)]
    now = 0.0
    for _ in range(4000):
        now += rng.random() * 30
        what = rng.choice((table.answered, table.asked, lambda each, now: table.failed(each.id, now)))
        what(rng.choice(nodes), now)
    assert sum(1 if up else -1 for _, up in edges) == sum(not contact.bad for contact in table)
    for index, bucket in enumerate(table.buckets):
        assert len(bucket.contacts) <= 2 * 3  # k, and the k closest to ourselves at most beyond
        assert len(bucket.replacements) <= 3
        assert not bucket.contacts.keys() & bucket.replacements.keys()
        for node_id in [*bucket.contacts, *bucket.replacements]:
            shared_bits = ID_BITS - node_id.bit_length()
            assert shared_bits == index or (index == len(table.buckets) - 1 and shared_bits > index)


# ---- against the plain definitions ----

OWN = 0b1011 << 156 | 0b0110 << 80 | 5
FAR_AND_NEAR = st.builds(lambda bits, shared: OWN ^ (bits >> shared), st.integers(0, 2**160 - 1), st.integers(0, 161))
DEEDS = st.lists(
    st.tuples(st.sampled_from(["answered", "answered", "answered", "asked", "failed", "vanished"]), st.integers(0, 59)),
    max_size=150,
)


@settings(deadline=None, max_examples=100)
@given(st.lists(FAR_AND_NEAR, min_size=60, max_size=60, unique=True), st.integers(1, 4), DEEDS, st.data())
def test_who_is_closest_is_a_matter_of_distance_alone(known, k, deeds, draw):
    table = RoutingTable(OWN, k, GOOD_S, BACKOFF_S, lambda address, up: None)
    for now, (deed, number) in enumerate(deeds):
        one = NodeInfo(known[number], Address(f"10.0.0.{number}", 6881))
        arguments = {"failed": (one.id, now), "vanished": (one.id,)}.get(deed, (one, now))
        getattr(table, deed)(*arguments)
        assert all(table.get(contact.id) is contact for contact in table)
    target, count, now = draw.draw(FAR_AND_NEAR), draw.draw(st.integers(1, 12)), len(deeds)
    everybody = sorted(table, key=lambda contact: contact.id ^ target)
    usable = [contact.info for contact in everybody if not contact.bad]
    free = [contact for contact in everybody if contact.locked_until <= now] or everybody
    assert table.closest(target, count) == usable[:count]
    assert table.seeds(target, count, now) == [contact.info for contact in free[:count]]
    closer = [contact for contact in everybody if not contact.bad and contact.id ^ OWN < target ^ OWN]
    assert table._is_near(NodeInfo(target, Address("10.0.0.1", 1))) == (len(closer) < k)
