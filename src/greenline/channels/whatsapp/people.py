"""Who a person is to a number: every id that Meta has for them leads to one chat.

Two ids may have led to two chats before Meta tells that they are one person's: a template was sent to a number as
the business writes it, or somebody has written under a business-scoped id alone. Then the chats are joined, and the
newest conversation goes on.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

import structlog

from greenline.channels.whatsapp.recipient import aliases
from greenline.store.mailbox import Claim, ring
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql

log = structlog.get_logger(__name__)

SKEW: Final = timedelta(minutes=1)
"""How far Meta's clock may be ahead of the one by which a chat began."""

_sql = load_sql(__package__, "people.sql")


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

    One of ``wa_id`` and ``bsuid`` must be given. With both, a chat of somebody with another id who had the number
    before is not theirs.
    """
    numbers = [wa_id, *aliases(wa_id)] if wa_id else []
    if bsuid and numbers:
        await connection.execute(_sql["part"], workspace_id, phone_number_id, numbers, bsuid)
    named = [*([bsuid] if bsuid else []), *numbers]
    known = await connection.fetchval(_sql["known_chat"], phone_number_id, named)
    rows = await connection.fetch(
        _sql["meet"], phone_number_id, named, known or f"{phone_number_id}:{secrets.token_hex(16)}"
    )
    met = {row["identifier"]: row["chat_id"] for row in rows}
    chat_id = str(met[named[0]])
    stopped = await connection.fetchval(_sql["open_chat"], workspace_id, chat_id, phone_number_id, wa_id, bsuid, now)
    return chat_id, bool(stopped)


async def learn(
    pool: Pool,
    workspace_id: str,
    phone_number_id: str,
    chat_id: str,
    *,
    wa_id: str | None,
    bsuid: str | None,
    now: datetime,
) -> None:
    """Meta calls the person of a chat by these ids: they lead to one chat from now on.

    That is the one in which their messages arrive, if they lead to one already.
    """
    named = [identifier for identifier in (bsuid, wa_id) if identifier]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_sql["take_turns"], phone_number_id)
        known = await _chats_of(connection, phone_number_id, named, bsuid)
        target = known[0] if known else chat_id
        for other in {chat_id, *known} - {target}:
            if not await _join(connection, workspace_id, other, target, now):
                return  # the next answer of Meta's tells it again
        others = list(aliases(wa_id)) if wa_id else []
        await connection.execute(_sql["name"], phone_number_id, named, target, others)
        await connection.execute(_sql["know"], workspace_id, target, wa_id, bsuid)


async def join_with(
    pool: Pool,
    workspace_id: str,
    phone_number_id: str,
    chat_id: str,
    *,
    wa_id: str | None,
    bsuid: str | None,
    now: datetime,
    since: datetime | None = None,
) -> bool:
    """A person in a chat, which the caller holds, writes under these ids: other chats that they lead to are joined to
    it. Returns whether there were any.

    ``since``: when the person got the number, if that is known; an older chat on it is of whoever had it before.
    """
    named = [identifier for identifier in (bsuid, wa_id) if identifier]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_sql["take_turns"], phone_number_id)
        others = {*await _chats_of(connection, phone_number_id, named, bsuid, since)} - {chat_id}
        joined = [await _join(connection, workspace_id, other, chat_id, now) for other in sorted(others)]
    return any(joined)


async def send_on(pool: Pool, claim: Claim, chat_id: str, now: datetime) -> None:
    """What waits in a chat that was joined to another waits there, in its order."""
    await pool.execute(_sql["send_on"], claim.workspace_id, claim.mailbox_id, claim.epoch, chat_id, now)


def numbers_gone(old: str | None, new: str | None) -> list[str]:
    """The numbers that no longer lead to a person whose number was ``old`` and is ``new``: others may get them."""
    if old is None or new is None or new == old:
        return []
    kept = {new, *aliases(new)}
    return [number for number in (old, *aliases(old)) if number not in kept]


async def _chats_of(
    connection: Connection,
    phone_number_id: str,
    identifiers: list[str],
    bsuid: str | None,
    since: datetime | None = None,
) -> list[str]:
    """Chats that the ids lead to, but none of somebody else's: a number may be another person's by now."""
    rows = await connection.fetch(_sql["chats_of"], phone_number_id, identifiers)
    theirs = [row for row in rows if bsuid is None or row["bsuid"] in (None, bsuid)]
    if since is not None:
        since -= SKEW
        theirs = [row for row in theirs if row["created_at"] >= since or (bsuid and row["bsuid"] == bsuid)]
    return [row["chat_id"] for row in theirs]


async def _join(connection: Connection, workspace_id: str, source: str, target: str, now: datetime) -> bool:
    """Whether all of one chat is in the other now."""
    await connection.execute(_sql["hold"], workspace_id, [source, target])
    if not await connection.fetchval(_sql["may_join"], workspace_id, source, target):
        return False
    await connection.execute(_sql["join"], workspace_id, source, target)
    await connection.execute(_sql["interrupt"], workspace_id, source, now)
    await ring(connection, mailbox_id=target, workspace_id=workspace_id, kind="chat", due_at=now)
    log.info("chats.joined", source=source, target=target)
    return True
