"""A link that signs in to the console once.

An address ends up in histories, logs and on screens, so a key has no place in it. A ticket is a key sealed with this
server's own secret: it is worth nothing elsewhere, nothing after ten minutes, and nothing a second time.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from greenline.clock import Clock
from greenline.ids import new_id
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.vault import SecretUnreadable, Vault

LIFE: Final = timedelta(minutes=10)
_CONTEXT: Final = "console ticket"
_sql = load_sql(__package__, "ticket.sql")


def make(vault: Vault, clock: Clock, key: str) -> str:
    """A ticket for the workspace of an API key."""
    content = {"id": new_id("ticket"), "key": key, "until": (clock.now() + LIFE).timestamp()}
    return base64.urlsafe_b64encode(vault.seal(orjson.dumps(content).decode(), _CONTEXT)).rstrip(b"=").decode()


async def use(vault: Vault, clock: Clock, pool: Pool, ticket: str) -> str | None:
    """The key of a ticket; None for one that was used, is too old, or is not ours. Of two at once, one gets it."""
    try:
        sealed = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
        content = orjson.loads(vault.open(sealed, _CONTEXT))
    except (SecretUnreadable, binascii.Error, ValueError):
        return None
    now, until = clock.now(), datetime.fromtimestamp(content["until"], UTC)
    if until < now:
        return None
    fresh = await pool.fetchval(_sql["use"], content["id"], until, now)
    return str(content["key"]) if fresh else None
