"""Facts about messages that were sent: Meta's answers and statuses, applied in any order.

A state only moves up: accepted < sent < failed < delivered < read < played. ``failed`` is final unless the
message was seen on the device after all, or Meta dropped it for a reason that passes: then it is sent again. A fact
that was not known before becomes an event of the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.graph_errors import PASSING, retry_seconds
from greenline.conversations.deliveries import STATES
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql
from greenline.text import clean_data, clean_text

log = structlog.get_logger(__name__)

sql: Final = load_sql(__package__, "delivery.sql")

MAX_RESENDS: Final = 3


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that Meta told of a message. ``outbox_id`` is None when only its ``wamid`` is known."""

    outbox_id: str | None
    state: str
    at: datetime
    wamid: str | None = None
    error: dict[str, Any] | None = None
    pricing: dict[str, Any] | None = None


async def raise_states(connection: Connection | Pool, facts: Iterable[Fact], now: datetime) -> None:
    """Apply facts in one statement. Facts about messages that are not ours are passed over."""
    known = await _resolve(connection, list(facts))
    if not known:
        return
    for fact in known:
        if fact.state == "failed" and fact.wamid:  # what was never accepted is told where it was refused
            told = fact.error or {}
            log.warning("delivery.failed", outbox_id=fact.outbox_id, code=told.get("code"), title=told.get("title"))
    resent = await connection.fetchval(
        sql["raise"],
        [fact.outbox_id for fact in known],
        [fact.state for fact in known],
        [fact.at for fact in known],
        [fact.wamid for fact in known],
        [fact.error for fact in known],
        [fact.pricing for fact in known],
        now,
        [_resend_seconds(fact) for fact in known],
        MAX_RESENDS,
    )
    if resent:
        log.warning("delivery.resent", outbox_ids=resent)


def _resend_seconds(fact: Fact) -> float | None:
    code = fact.error.get("code") if fact.error else None
    return retry_seconds(code, 1) if fact.state == "failed" and fact.wamid and code in PASSING else None


async def _resolve(connection: Connection | Pool, facts: Sequence[Fact]) -> list[Fact]:
    nameless = [fact.wamid for fact in facts if fact.outbox_id is None]
    ids = {}
    if nameless:
        rows = await connection.fetch(sql["by_wamid"], nameless)
        ids = {row["wamid"]: row["id"] for row in rows}
    found = (fact if fact.outbox_id else replace(fact, outbox_id=ids.get(fact.wamid)) for fact in facts)
    return [fact for fact in found if fact.outbox_id and fact.state in STATES]


def read_status(payload: dict[str, Any], now: datetime) -> Fact:
    """The fact of a webhook status. ``now`` stands in for an unreadable timestamp."""
    errors = payload.get("errors")
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else None
    data = error.get("error_data") if error else None
    ours = payload.get("biz_opaque_callback_data")
    return Fact(
        outbox_id=ours if isinstance(ours, str) and ours.startswith("out_") else None,
        state=str(payload.get("status")),
        at=_timestamp(payload.get("timestamp")) or now,
        wamid=clean_text(str(payload.get("id"))),
        error=None
        if error is None
        else clean_data(
            {
                "code": error.get("code"),
                "title": error.get("title") or error.get("message"),
                "details": data.get("details") if isinstance(data, dict) else None,
            }
        ),
        pricing=clean_data(payload["pricing"]) if isinstance(payload.get("pricing"), dict) else None,
    )


def _timestamp(value: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None
