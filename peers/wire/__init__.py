"""Codecs: bytes <-> messages, as pure functions; the only error they raise on input is `Malformed`."""
