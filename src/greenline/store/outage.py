"""Errors of the database that pass: it restarts, fails over, or can't be reached for a moment."""

from __future__ import annotations

from typing import Final

import asyncpg

from greenline.errors import Unavailable

DATABASE_ERRORS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, Unavailable)
"""All that a statement can raise, `greenline.store.batch.QueueFull` included."""

_PASSING: Final = ("08", "25006", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, read-only after a failover, rolled back, no room, not ready, shut down, system."""


def passes(error: BaseException) -> bool:
    """Whether the same statement may succeed in a moment. Its outcome is unknown."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_PASSING)
    return isinstance(error, DATABASE_ERRORS)
