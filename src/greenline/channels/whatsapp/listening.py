"""Since when a server could take what Meta delivers, told by a lock of the database that it holds while it lives.

Postgres frees the lock when the server is gone, however it ended, and when its connection is lost: nothing that Meta
delivers can be kept without the database. The statement ``signs`` reads the locks of all servers.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

LISTENS: Final = 1_819_571_059
"""The first key of the locks, which tells them from others of the database."""
_FIRST: Final = datetime(2025, 1, 1, tzinfo=UTC)


def listening_lock(now: datetime) -> tuple[int, int]:
    """What a server locks that listens from ``now`` on: in seconds, which a key of 31 bits holds for 68 years."""
    return LISTENS, int((now - _FIRST).total_seconds())


def listening_since(key: int | None) -> datetime | None:
    """The moment of a lock's second key."""
    return None if key is None else _FIRST + timedelta(seconds=key)
