"""Drawn workloads of downloads and broadcasts; counts worked out by hand."""

from collections import Counter

import pytest
from specs import plan_of

from harness.errors import SpecError
from peers.registry import PROTOCOLS

SPEC = """\
name: verbs
duration: 30 s
topology: {generator: star, hosts: 4}
overlays:
  v:
    protocol: verbs
    peers: [{role: holder, on: h1}, {role: member, on: all except h1}]
  d: {protocol: dht, peers: all}
items: {count: 3, size: 2 kB}
workload:
  - {publish: {by: h1}, at: 1 s}
  - WORK
"""


@pytest.fixture(autouse=True)
def verbs(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "verbs", {"holder": "verb_cores:Holder", "member": "verb_cores:Member"})


def steps_of(tmp_path, work, verb):
    plan = plan_of(tmp_path, SPEC.replace("WORK", work))
    return [step for step in plan.timeline if step.verb == verb]


def test_each_host_downloads_each_item_once(tmp_path):
    steps = steps_of(tmp_path, "{download: {each: true}, from: 10 s, to: 20 s}", "download")
    assert Counter((s.target, s.args["item"]) for s in steps) == Counter(
        {(f"v-h{host}", f"item{item}"): 1 for host in (2, 3, 4) for item in (1, 2, 3)}
    )  # h1 holds them all, and the dht does not download
    assert {s.args["size_bytes"] for s in steps} == {2000}
    assert [s.t_s for s in steps][:2] == [10.555556, 11.666667]  # the middles of nine parts of 10 s


def test_each_at_once(tmp_path):
    steps = steps_of(tmp_path, "{download: {each: true, by: h2}, at: 9 s}", "download")
    assert [(s.target, s.t_s) for s in steps] == [("v-h2", 9.0)] * 3


def test_some_downloads_are_of_what_the_host_lacks(tmp_path):
    steps = steps_of(tmp_path, "{download: {popularity: zipf(1)}, from: 10 s, to: 20 s, count: 9}", "download")
    assert len({(s.target, s.args["item"]) for s in steps}) == 9
    assert {s.target for s in steps} == {"v-h2", "v-h3", "v-h4"}


def test_publishers_and_those_who_look_are_told_the_size(tmp_path):
    steps = steps_of(tmp_path, "{lookup: {by: h2}, at: 9 s}", "publish")
    assert {s.target for s in steps} == {"v-h1", "d-h1"}
    assert {s.args["size_bytes"] for s in steps} == {2000}
    # whoever looks for a torrent needs the size, too: it is part of what the info_hash stands for
    assert steps_of(tmp_path, "{lookup: {by: h2}, at: 9 s}", "lookup")[0].args["size_bytes"] == 2000


def test_messages_are_named_after_their_number(tmp_path):
    steps = steps_of(tmp_path, "{broadcast: {size: 64 KiB}, from: 10 s, to: 20 s, count: 2}", "broadcast")
    assert [(s.op, s.args) for s in steps] == [  # after three publications
        ("4.v", {"item": "msg4", "size_bytes": 65536}),
        ("5.v", {"item": "msg5", "size_bytes": 65536}),
    ]
    assert {s.target for s in steps} <= {"v-h2", "v-h3", "v-h4"}


@pytest.mark.parametrize(
    ("work", "says"),
    [
        ("{download: {by: h1}, at: 2 s}", r"workload\[1\].download.by: none of these hosts runs a peer that can"),
        ("{download: {each: true}, at: 2 s, count: 3}", r"workload\[1\].count: 'each' says how many"),
        ("{download: {}, from: 10 s, to: 20 s, count: 10}", "10 downloads, but these hosts lack only 9"),
        ("{download: {popularity: ziph}, at: 9 s}", r"workload\[1\].download.popularity: found 'ziph'"),
        (
            "{broadcast: {sise: 3 kB}, at: 9 s}",
            r"workload\[1\].broadcast.sise: unknown key 'sise'; did you mean 'size'",
        ),
        ("{downlod: {}, at: 9 s}", r"unknown key 'downlod'; did you mean 'download'"),
    ],
)
def test_wrong_workloads(tmp_path, work, says):
    with pytest.raises(SpecError, match=says):
        plan_of(tmp_path, SPEC.replace("WORK", work))


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ("3", r"spec.yaml:12: workload\[1\].download: downloads need items with a size"),
        ("{count: 3, size: 2}", "spec.yaml:9: items.size: 2 has no unit"),
        ("{count: 3, sice: 2 kB}", "items.sice: unknown key 'sice'; did you mean 'size'"),
        ("{size: 2 kB}", "items.count: this key is missing"),
        ("many", "spec.yaml:9: items: found 'many'"),
        ("-1", "spec.yaml:9: items: found -1"),
    ],
)
def test_wrong_items(tmp_path, items, says):
    text = SPEC.replace("{count: 3, size: 2 kB}", items).replace("WORK", "{download: {}, at: 9 s}")
    with pytest.raises(SpecError, match=says):
        plan_of(tmp_path, text)


def test_nothing_is_left_to_download(tmp_path):
    everyone = SPEC.replace("{publish: {by: h1}, at: 1 s}", "{publish: {copies: 4}, at: 1 s}")
    with pytest.raises(SpecError, match="each of these hosts holds every item already"):
        plan_of(tmp_path, everyone.replace("WORK", "{download: {}, at: 9 s}"))


def test_messages_need_no_items(tmp_path):
    text = SPEC.replace("items: {count: 3, size: 2 kB}\n", "").replace("  - {publish: {by: h1}, at: 1 s}\n", "")
    plan = plan_of(tmp_path, text.replace("WORK", "{broadcast: {by: h2}, at: 9 s}"))
    assert [(s.op, s.args) for s in plan.timeline] == [("1.v", {"item": "msg1", "size_bytes": 1000})]
