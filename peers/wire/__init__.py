"""Codecs: bytes to messages and back, pure functions; a message that cannot be read raises `Malformed`, nothing else."""


class Malformed(ValueError):
    """Bytes that are not a message of the protocol; the text says what is wrong with them."""
