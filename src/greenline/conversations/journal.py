"""Reading a journal back from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from greenline.conversations.events import Entry, load_event
from greenline.store.pool import Record

log = structlog.get_logger(__name__)


def read_journal(rows: Iterable[Record | Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The entries of rows (``seq``, ``at``, ``kind``, ``data``), in their order.

    An event of a kind or shape that this version doesn't know, written by a newer one, is left out.
    """
    entries = []
    for row in rows:
        try:
            event = load_event(row["kind"], row["data"])
        except ValidationError:
            log.warning("journal.unknown_event", seq=row["seq"], kind=row["kind"])
            continue
        entries.append(Entry(seq=row["seq"], at=row["at"], event=event))
    return tuple(entries)
