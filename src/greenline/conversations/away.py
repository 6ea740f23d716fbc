"""MCP servers that a conversation had to do without, as its journal and its operator are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from greenline.conversations.events import Entry, Event, Noted

AWAY: Final = "mcp_server_away"


def away_notes(away: Mapping[str, str], journal: Iterable[Event]) -> tuple[Noted, ...]:
    """What the journal does not hold yet of the servers ``away``, by name with the reason."""
    known = [event.detail for event in journal if isinstance(event, Noted) and event.what == AWAY]
    details = [{"server": server, "reason": reason} for server, reason in away.items()]
    return tuple(Noted(what=AWAY, detail=detail) for detail in details if detail not in known)


def away_warnings(journal: Iterable[Entry]) -> Iterable[str]:
    """Once for each server and reason."""
    for entry in journal:
        event = entry.event
        if isinstance(event, Noted) and event.what == AWAY:
            server, reason = event.detail.get("server"), event.detail.get("reason")
            yield f"The tools of the MCP server {server} were not offered: {reason}"
