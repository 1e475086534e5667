"""Peers: one process, one protocol; standard library only. Start one by hand with `python3 -m peers --help`."""
