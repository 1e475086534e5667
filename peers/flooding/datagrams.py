"""Descriptors in datagrams: probes (as in GUESS 0.1) and the questions of walkers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.core import Address
from peers.wire import Malformed
from peers.wire.gnutella import PONG, QUERY, QUERYHIT, VENDOR, Descriptor, Pong, Query, QueryHit

if TYPE_CHECKING:
    from peers.flooding.servent import Servent


class Datagrams:
    """What one servent does with datagrams."""

    def __init__(self, servent: Servent) -> None:
        self.servent = servent

    def take(self, source: Address, data: bytes) -> None:
        try:
            descriptor = Descriptor.decode(data)
            if descriptor.kind == VENDOR:
                self.servent.walks.on_check(source, descriptor)
            elif descriptor.kind == QUERY:
                self._probe(source, descriptor)
            elif descriptor.kind in (QUERYHIT, PONG):
                self._answer(source, descriptor)
            else:
                raise Malformed(f"payload descriptor 0x{descriptor.kind:02x} in a datagram")
        except Malformed as error:
            self.servent.malformed(source, str(error))

    def _probe(self, source: Address, descriptor: Descriptor) -> None:
        """A Query to this servent alone: who has nothing says so by a Pong, that the other need not wait."""
        servent = self.servent
        item = Query.decode(descriptor.payload).criteria
        if not servent.options.reachable:
            return
        servent.note(source, descriptor)
        if item in servent.shelf:
            servent.tell_host(source, servent.answer(descriptor, item))
        else:
            pong = Pong(servent.address, len(servent.shelf), servent.shelf.kilobytes).encode()
            servent.tell_host(source, Descriptor(descriptor.guid, PONG, 1, 0, pong))

    def _answer(self, source: Address, descriptor: Descriptor) -> None:
        servent = self.servent
        search = servent.searches.of.get(descriptor.guid)
        servent.note(source, descriptor, **({"op": search.op, "reply": True} if search else {}))
        if descriptor.kind == QUERYHIT:
            servent.count(descriptor, QueryHit.decode(descriptor.payload))
        else:
            servent.searches.miss(descriptor.guid, source)
