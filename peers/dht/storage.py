"""What others announced: for each info_hash the addresses of its providers, each until it expires."""

from __future__ import annotations

from peers.core import Address


class Storage:
    """Bounded in both directions: a full key forgets its oldest provider, a full store takes no new key."""

    def __init__(self, ttl_s: float, max_keys: int = 4000, max_providers: int = 400) -> None:
        self._ttl_s = ttl_s
        self._max_keys = max_keys
        self._max_providers = max_providers
        # info_hash -> provider -> when it expires; in the order of expiry, because there is one TTL for all
        self._providers: dict[int, dict[Address, float]] = {}

    def add(self, info_hash: int, provider: Address, now: float) -> bool:
        """False when the store is full."""
        if info_hash not in self._providers and len(self._providers) >= self._max_keys:
            self.expire(now)
            if len(self._providers) >= self._max_keys:
                return False
        providers = self._providers.setdefault(info_hash, {})
        providers.pop(provider, None)
        if len(providers) >= self._max_providers:
            del providers[next(iter(providers))]
        providers[provider] = now + self._ttl_s
        return True

    def providers(self, info_hash: int, now: float) -> list[Address]:
        """Those that have not expired, the one announced longest ago first."""
        return [provider for provider, until in self._providers.get(info_hash, {}).items() if until > now]

    def expire(self, now: float) -> None:
        for info_hash, providers in list(self._providers.items()):
            for provider in [provider for provider, until in providers.items() if until <= now]:
                del providers[provider]
            if not providers:
                del self._providers[info_hash]

    def dump(self, now: float) -> dict[str, list[str]]:
        self.expire(now)
        return {f"{key:040x}": [str(provider) for provider in found] for key, found in self._providers.items()}
