"""When a peer leaves what it has downloaded, and whether it ends with that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers.bittorrent.peer import Peer
    from peers.bittorrent.swarm import Swarm

LEAVE, EXIT = "leave", "exit"  # timers
GOODBYE_S = 5.0  # a tracker that does not take our goodbye in so long is not waited for


class Departures:
    """Of all swarms of a peer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._due: list[tuple[float, Swarm]] = []

    def downloaded(self, swarm: Swarm) -> None:
        """A download is complete: the time as a seed begins."""
        o = self._peer.options
        if o.seed_after_s < 0:
            return
        drawn = o.seed_time == "exponential" and o.seed_after_s > 0
        stay_s = self._peer.rng.expovariate(1 / o.seed_after_s) if drawn else o.seed_after_s
        self._due.append((self._peer.now + stay_s, swarm))
        self._wait()

    def on_timer(self, name: str) -> bool:
        """Whether the timer was ours."""
        if name == LEAVE:
            now = self._peer.now
            due, self._due = [s for at, s in self._due if at <= now], [each for each in self._due if each[0] > now]
            for swarm in due:
                self._leave(swarm)
            self._wait()
        elif name == EXIT:
            self._exit()
        return name in (LEAVE, EXIT)

    def _wait(self) -> None:
        if self._due:
            self._peer.set_timer(LEAVE, min(at for at, _ in self._due) - self._peer.now)

    def _leave(self, swarm: Swarm) -> None:
        peer = self._peer
        if peer.swarms.get(swarm.info_hash) is not swarm:
            return  # left for another reason
        last = len(peer.swarms) == 1
        if peer.options.exit_when_left and last:
            peer.set_timer(EXIT, GOODBYE_S)
            peer.leave(swarm, self._exit)
        else:
            peer.leave(swarm)

    def _exit(self) -> None:
        """Unless there is something to do again."""
        if not self._peer.swarms:
            self._peer.cancel_timer(EXIT)
            self._peer.exit()
