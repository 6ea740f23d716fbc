"""Reading a journal back from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from greenline.conversations.events import Entry, Event, load_event
from greenline.store.pool import Record

log = structlog.get_logger(__name__)


def read_journal(rows: Iterable[Record | Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The entries of rows (``seq``, ``at``, ``kind``, ``data``), in their order.

    An event of a kind or shape that this version doesn't know, written by a newer one, is left out.
    """
    read = ((row, read_event(row["kind"], row["data"])) for row in rows)
    return tuple(Entry(seq=row["seq"], at=row["at"], event=event) for row, event in read if event is not None)


def read_event(kind: str, data: dict[str, Any]) -> Event | None:
    """The event of a row; None for one that this version doesn't know."""
    try:
        return load_event(kind, data)
    except ValidationError:
        log.warning("journal.unknown_event", kind=kind)
        return None
