"""The tracker of a BitTorrent overlay: the one of `peers.tracker`, for peers that transfer."""

from __future__ import annotations

from peers.tracker import Tracker as AnyTracker


class Tracker(AnyTracker):
    """A BitTorrent tracker, by HTTP and UDP (BEP 3, 15, 23, 48)."""

    protocol = "bittorrent"
