"""Codecs: bytes to messages and back, pure functions; bytes that cannot be read raise `Malformed`, nothing else."""


class Malformed(ValueError):
    """Bytes that are not a message of the protocol; the text says what is wrong with them."""
