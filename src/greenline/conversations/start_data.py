"""That a webhook was asked for the start data of a conversation, as its journal and its operator are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from greenline.conversations.events import Entry, Noted

ASKED: Final = "initiation_webhook"


def start_data_note(seconds: float, error: str = "") -> Noted:
    """How long it took; ``error`` says why it brought nothing."""
    return Noted(what=ASKED, detail={"seconds": round(seconds, 3), **({"error": error} if error else {})})


def start_data_warnings(journal: Iterable[Entry]) -> Iterable[str]:
    """Where it brought nothing."""
    for entry in journal:
        event = entry.event
        if isinstance(event, Noted) and event.what == ASKED and "error" in event.detail:
            yield f"The conversation began without the data of its webhook: {event.detail['error']}"
