"""Recognises API keys at the speed of requests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from greenline.clock import Clock
from greenline.errors import InvalidApiKey
from greenline.store.pool import Pool
from greenline.workspaces.models import Workspace
from greenline.workspaces.service import authenticate, hash_key

REMEMBERED: Final = timedelta(seconds=3)
"""How long a recognised key is not asked for again: a revoked key stops working on all replicas within this time."""
CAPACITY: Final = 1024


class Keyring:
    """Keys that were recognised a moment ago. Unknown keys are never remembered, so guessing fills no memory."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._known: dict[bytes, tuple[datetime, Workspace]] = {}

    async def authenticate(self, key: str) -> Workspace:
        """The workspace that the key opens. Raises `InvalidApiKey`."""
        digest, now = hash_key(key), self._clock.now()
        if known := self._known.get(digest):
            since, workspace = known
            if timedelta() <= now - since < REMEMBERED:
                return workspace
            del self._known[digest]
        found = await authenticate(self._pool, key)
        if found is None:
            raise InvalidApiKey
        if len(self._known) >= CAPACITY:
            self._known.clear()
        self._known[digest] = (now, found)
        return found
