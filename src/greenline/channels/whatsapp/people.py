"""Who a person is to a number: every id that Meta has for them leads to one chat."""

from __future__ import annotations

import secrets
from datetime import datetime

from greenline.channels.whatsapp.recipient import aliases
from greenline.store.pool import Connection
from greenline.store.sql import load_sql

_sql = load_sql(__package__, "outbound.sql")


async def open_chat(
    connection: Connection,
    workspace_id: str,
    phone_number_id: str,
    *,
    wa_id: str | None,
    bsuid: str | None,
    now: datetime,
) -> tuple[str, bool]:
    """The id of the person's chat, made if there is none, and whether they have stopped marketing messages.

    One of ``wa_id`` and ``bsuid`` must be given.
    """
    identifiers = [bsuid, wa_id, *(aliases(wa_id) if wa_id else ())]
    named = [identifier for identifier in identifiers if identifier]
    known = await connection.fetchval(_sql["known_chat"], phone_number_id, named)
    rows = await connection.fetch(
        _sql["meet"], phone_number_id, named, known or f"{phone_number_id}:{secrets.token_hex(16)}"
    )
    met = {row["identifier"]: row["chat_id"] for row in rows}
    chat_id = str(met[named[0]])
    stopped = await connection.fetchval(_sql["open_chat"], workspace_id, chat_id, phone_number_id, wa_id, bsuid, now)
    return chat_id, bool(stopped)
