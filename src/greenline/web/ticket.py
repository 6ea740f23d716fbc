"""A link that signs in to the console once.

An address ends up in histories, logs and on screens, so a key has no place in it. A ticket is a key sealed with this
server's own secret: it is worth nothing elsewhere, nothing after ten minutes, and nothing a second time.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from greenline.clock import Clock
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.vault import SecretUnreadable, Vault

LIFE: Final = timedelta(minutes=10)
_CONTEXT: Final = "console ticket"
_sql = load_sql(__package__, "ticket.sql")


def make(vault: Vault, clock: Clock, key: str) -> str:
    """A ticket for the workspace of an API key."""
    content = (secrets.token_urlsafe(9), int((clock.now() + LIFE).timestamp()), key)  # short: people copy the link
    return base64.urlsafe_b64encode(vault.seal(orjson.dumps(content).decode(), _CONTEXT)).rstrip(b"=").decode()


async def use(vault: Vault, clock: Clock, pool: Pool, ticket: str) -> str | None:
    """The key of a ticket; None for one that was used, is too old, or is not ours. Of two at once, one gets it."""
    try:
        sealed = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
        name, until, key = orjson.loads(vault.open(sealed, _CONTEXT))
    except (SecretUnreadable, binascii.Error, ValueError):
        return None
    now, end = clock.now(), datetime.fromtimestamp(until, UTC)
    if end < now:
        return None
    fresh = await pool.fetchval(_sql["use"], name, end, now)
    return str(key) if fresh else None
