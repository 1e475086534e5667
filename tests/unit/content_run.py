"""The hand-made run with downloads, broadcasts and a chain in it; the numbers of the tests are worked out from here.

Overlay flooding: item1 (1,000,000 bytes) is downloaded by w2 (2.0 to 6.0 s), e1 (2.5 to 4.5 s) and e2 (3.0 s; no end).
Overlay dht: msg10 leaves w1 at 1.0 s and reaches w2 after 100, e1 after 200 and e2 after 400 ms; msg11 leaves e1 at 8.5
s, when e2 is dead, and reaches w1 alone, after 50 ms. e1 gets a second copy of msg10.
"""

from __future__ import annotations

from dataclasses import replace

from rundir_factory import T0_NS, Run, listen, tiny

from harness.plan.model import Step

SIZE = 1_000_000


def with_content() -> Run:
    run = tiny()
    steps = [
        Step(t_s, "command", f"flooding-{host}", f"{number}.flooding", "download",
             {"item": "item1", "size_bytes": SIZE})
        for number, t_s, host in ((7, 2.0, "w2"), (8, 2.5, "e1"), (9, 3.0, "e2"))
    ]  # fmt: skip
    steps += [
        Step(t_s, "command", f"dht-{host}", f"{number}.dht", "broadcast", {"item": f"msg{number}", "size_bytes": 500})
        for number, t_s, host in ((10, 1.0, "w1"), (11, 8.5, "e1"))
    ]
    timeline = sorted([*run.plan.timeline, *steps], key=lambda step: step.t_s)
    run.plan = replace(run.plan, timeline=tuple(timeline))
    _downloads(run)
    _broadcasts(run)
    _neighbours(run)
    _chain(run)
    return run


def _downloads(run: Run) -> None:
    got = {"ok": True, "providers": [listen("flooding", "w1")], "bytes": 1_200_000, "pieces": 4}
    run.operation(2.0, 6.0, "w2", "7.flooding", "download", **got)
    run.operation(2.5, 4.5, "e1", "8.flooding", "download", **{**got, "bytes": SIZE})
    run.operation(3.0, None, "e2", "9.flooding", "download")
    for t_s, have in ((3.0, 250_000), (4.0, 500_000), (5.0, 750_000)):
        run.event(t_s, "flooding-w2", "progress", op="7.flooding", item="item1", have_bytes=have)


def _broadcasts(run: Run) -> None:
    for t_s, host, op in ((1.0, "w1", "10.dht"), (8.5, "e1", "11.dht")):
        number = op.partition(".")[0]
        run.event(t_s, f"dht-{host}", "op_start", op=op, verb="broadcast", item=f"msg{number}")
        run.event(t_s, f"dht-{host}", "op_end", op=op, verb="broadcast", item=f"msg{number}", ok=True)
    arrivals = ((1.1, "w2", "msg10", "w1", 1), (1.2, "e1", "msg10", "w1", 1), (1.4, "e2", "msg10", "e1", 2))
    for t_s, host, item, source, hops in (*arrivals, (8.55, "w1", "msg11", "e1", 1)):
        came = {"item": item, "hops": hops, "bytes": 500, "from": listen("dht", source)}
        run.event(t_s, f"dht-{host}", "delivered", **came)
    copy = {"kind": "push", "id": "msg10", "bytes": 520, "from": listen("dht", "w2")}
    run.event(1.3, "dht-e1", "received", duplicate=True, **copy)


def _neighbours(run: Run) -> None:
    """dht: w1 - w2 from the start, w1 - e1 from 0.5 s, w2 - e1 from 0.6 s, e1 - e2 from 0.8 s until e2 dies at 8 s."""
    for t_s, one, other in ((-0.5, "w1", "w2"), (0.5, "w1", "e1"), (0.6, "e1", "w2"), (0.8, "e2", "e1")):
        run.event(t_s, f"dht-{one}", "neighbour", remote=listen("dht", other), up=True)
    run.event(0.9, "dht-e1", "neighbour", remote=listen("dht", "e2"), up=True)  # both may say so


def _chain(run: Run) -> None:
    """flooding: g <- a <- b on w1 and w2; a <- c on e1, undone when b's successor d comes."""
    for t_s, host, block, parent, height in (
        (1.0, "w1", "a", "g", 1), (4.5, "w1", "b", "a", 2), (4.6, "e1", "c", "a", 2), (8.0, "w1", "d", "b", 3),
    ):  # fmt: skip
        name = f"flooding-{host}"
        run.event(t_s, name, "block", hash=block, parent=parent, height=height, miner=name)
    for t_s, host, head, height, undone, added in (
        (1.0, "w1", "a", 1, 0, 1), (1.1, "w2", "a", 1, 0, 1), (1.2, "e1", "a", 1, 0, 1), (4.5, "w1", "b", 2, 0, 1),
        (4.6, "e1", "c", 2, 0, 1), (4.7, "w2", "b", 2, 0, 1), (8.0, "w1", "d", 3, 0, 1), (8.1, "e1", "d", 3, 1, 2),
    ):  # fmt: skip
        told = {"hash": head, "height": height, "undone": undone, "added": added}
        run.event(t_s, f"flooding-{host}", "head", **told)


__all__ = ["SIZE", "T0_NS", "with_content"]
