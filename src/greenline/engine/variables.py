"""The dynamic variables of a conversation as they are by now: those of its start, and what tools have set since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from greenline.conversations.events import Event, Started, ToolReturned


def assigned_in(journal: Iterable[Event]) -> dict[str, Any]:
    """What answers of tools have set; the last one of a name counts."""
    returned = (event for event in journal if isinstance(event, ToolReturned))
    return {one.name: one.value for event in returned for one in event.assigned}


def known(started: Started, journal: Iterable[Event]) -> dict[str, Any]:
    """All of them, apart from the secret ones."""
    return {**started.variables, **assigned_in(journal)}
