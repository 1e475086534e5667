"""Lines of the journal: what is written by hand is what an encoder would write."""

import json

import pytest

from harness.journal import _event


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "query", "bytes": 133, "from": "10.0.0.1:7946", "duplicate": True, "hops": None},
        {"ok": False, "reason": 'say "no"\n\\\u2028', "näme": "\x00é𝄞", "size": -1, "share": 0.1, "big": 1e22},
        {"providers": ["a", "b"], "table": {"one": [1, 2.5], "ü": None}, "bad": float("nan"), "huge": 1 << 80},
        {"peer": "another", "event": "of its own"},
    ],
)
def test_an_event_is_written_as_the_encoder_does(fields):
    row = {"t_ns": 5, "peer": 'p"1', "event": "sent", **fields}
    assert _event(5, 'p"1', "sent", fields) == json.dumps(row, separators=(",", ":"), ensure_ascii=False)
