"""A protocol whose only purpose is to have verbs, for tests of plans: nobody starts its peers."""

from __future__ import annotations

from peers.core import Core


class Holder(Core):
    """Publishes, and nothing else."""

    protocol, role = "verbs", "holder"
    default_port = 7000
    verbs = frozenset({"publish"})


class Member(Core):
    """Does all there is."""

    protocol, role = "verbs", "member"
    default_port = 7000
    verbs = frozenset({"publish", "lookup", "download", "broadcast"})
