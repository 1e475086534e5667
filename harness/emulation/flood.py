"""Sends UDP packets at a rate until it is stopped: python3 -I flood.py ADDRESS PORT BYTES PACKETS_PER_SECOND.

A program of its own, with the standard library alone: it runs in a host. What cannot be sent for now (a full queue, a
link that is down) is lost, as it would be on the way.
"""

from __future__ import annotations

import errno
import socket
import sys
import time

LOST = (errno.ENOBUFS, errno.EAGAIN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNREFUSED)
BEHIND_S = 0.1  # what a sender that stood still catches up with at most


def flood(address: tuple[str, int], size: int, per_second: float) -> None:
    """Never returns."""
    payload = bytes(size)
    due = time.monotonic()
    kind = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as sender:
        while True:
            now = time.monotonic()
            due = max(due, now - BEHIND_S)
            if due > now:
                time.sleep(due - now)
            try:
                sender.sendto(payload, address)
            except OSError as error:
                if error.errno not in LOST:
                    raise
            due += 1 / per_second


if __name__ == "__main__":
    flood((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4]))
