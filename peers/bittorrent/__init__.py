"""BitTorrent: many download one file from each other, piece by piece (BEP 3), with a tracker or without (BEP 5, 9, 10).

    metainfo.py     .torrent files
    pieces.py       what of a torrent is in the store, checked
    picker.py       which block to ask for next: rarest first, end-game
    downloads.py    interest, requests, checks, blame
    uploads.py      blocks given in turns, within the rate
    choker.py       whom to unchoke: tit for tat, optimistic unchoke
    metadata.py     the info dictionary from peers (BEP 9)
    swarm.py        one torrent: links, messages, fate
    link.py         one stream to another peer
    connections.py  all streams: dialling, handshakes, reading, writing
    candidates.py   addresses to dial
    presence.py     announced to trackers and to the DHT
    discovery.py    the clients of both, each a core inside the peer (inner.py)
    lookup.py       who is in a swarm
    peer.py         the core: commands and what became of them
    tracker.py      the tracker

Cohen = Bram Cohen, "Incentives Build Robustness in BitTorrent", 2003.
"""
