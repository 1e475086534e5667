"""Peers without an edge, moment after moment: as a look at the whole graph would have it."""

from random import Random

import pandas as pd
import pytest

from harness.analysis.shape import _History, _Lonely


@pytest.mark.parametrize("seed", range(20))
def test_a_graph_with_a_lonely_peer_is_not_one(seed):
    rng = Random(seed)
    peers = [f"h{number}" for number in range(5)]

    def times():
        begin = rng.randrange(20)
        return {"from_s": float(begin), "to_s": float(begin + rng.randrange(-1, 15))}

    pairs = [rng.sample(peers, 2) for _ in range(14)]
    table = pd.DataFrame([{"peer": one, "remote_peer": other, **times()} for one, other in pairs])
    lives = pd.DataFrame(
        [{"peer": rng.choice(peers), **times()} for _ in range(3)] + [{"peer": peer, **times()} for peer in peers]
    )
    history = _History(table, lives)
    lonely = _Lonely(history)
    for t_s in range(-1, 40):
        up = {life.peer for life in lives.itertuples() if life.from_s <= t_s < life.to_s}
        now = [edge for edge in table.itertuples() if edge.from_s <= t_s < edge.to_s]
        alone = up - {name for edge in now for name in (edge.peer, edge.remote_peer)}
        found = lonely.any(t_s)
        assert found == (bool(alone) and len(up) > 1)
        assert not (found and history.is_one(t_s))
