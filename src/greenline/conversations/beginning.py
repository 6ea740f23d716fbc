"""What the agent knows from the beginning of a conversation."""

from __future__ import annotations

from collections.abc import Iterable

from greenline.conversations.events import Event, Resumed, Started


def known_from_start(journal: Iterable[Event]) -> Started | None:
    """The first event of a conversation, with what a person who came to it later has brought; None without one.

    One that the business began goes on, perhaps days later, with the time and the memory of the moment at which the
    person answered.
    """
    started = None
    for event in journal:
        match event:
            case Started():
                started = event
            case Resumed() if started is not None:
                changes = {
                    "variables": {**started.variables, **event.variables},
                    "summary": event.summary,
                    "remembered": event.remembered,
                }
                started = started.model_copy(update=changes)
    return started
