"""Tokens: whoever announces a provider must have received an answer at the address that it speaks from (BEP 5)."""

from __future__ import annotations

from hashlib import sha1
from random import Random

TOKEN_BYTES = 8
SECRET_BYTES = 16


class Tokens:
    """Hash of the asker's address and a secret; the secret is renewed every `rotate_s`, and the one before still holds.

    So a token is good for `rotate_s` at least and twice that at most, and nothing is kept for each asker.
    """

    def __init__(self, rng: Random, rotate_s: float, now: float) -> None:
        self._rng = rng
        self._rotate_s = rotate_s
        self._rotated_at = now
        self._secrets = (rng.randbytes(SECRET_BYTES), rng.randbytes(SECRET_BYTES))

    def issue(self, host: str, now: float) -> bytes:
        self._rotate(now)
        return _token(host, self._secrets[0])

    def valid(self, token: bytes, host: str, now: float) -> bool:
        self._rotate(now)
        return token in [_token(host, secret) for secret in self._secrets]

    def _rotate(self, now: float) -> None:
        due = int((now - self._rotated_at) // self._rotate_s)
        for _ in range(min(due, 2)):
            self._secrets = (self._rng.randbytes(SECRET_BYTES), self._secrets[0])
        self._rotated_at += due * self._rotate_s


def _token(host: str, secret: bytes) -> bytes:
    return sha1(host.encode() + secret).digest()[:TOKEN_BYTES]
