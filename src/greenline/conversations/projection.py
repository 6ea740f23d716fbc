"""The conversation row that lists and filters read: a fold of the journal, kept in the journal's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final

from greenline.conversations.events import (
    AgentMessage,
    Ended,
    Event,
    GuardrailsChecked,
    Noted,
    Resumed,
    SpeechUsed,
    ToolCalled,
    ToolReturned,
    UserMessage,
)
from greenline.conversations.usage import add_usage


@dataclass(frozen=True, slots=True)
class Projection:
    """The columns of table ``conversation`` that a turn writes, under their names there."""

    id: str
    workspace_id: str
    agent_id: str
    branch_id: str
    version_id: str
    source: str
    started_at: datetime
    text_only: bool = True
    environment: str = "production"
    direction: str | None = None
    chat_id: str | None = None
    phone_number_id: str | None = None
    user_id: str | None = None
    authorization_method: str = "public"
    initiation: dict[str, Any] = field(default_factory=dict, repr=False)
    status: str = "initiated"
    awaiting_first_user_message: bool = False
    termination_reason: str = ""
    error: dict[str, Any] | None = None
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    last_agent_message_at: datetime | None = None
    last_user_message_at: datetime | None = None
    message_count: int = 0
    user_message_count: int = 0
    agent_message_count: int = 0
    tool_names: tuple[str, ...] = ()
    llm_usage: dict[str, dict[str, int]] = field(default_factory=dict)
    call_successful: str | None = None
    speech_price: float | None = 0.0
    main_language: str | None = None
    """In which it began, or to which it was switched last; a code such as ``de``."""

    @property
    def is_open(self) -> bool:
        """Whether it can still be continued."""
        return self.status in ("initiated", "in-progress")

    def columns(self) -> dict[str, Any]:
        """The row by names of columns. Not a copy, which would cost more than anything else that a turn writes."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS: Final = tuple(column.name for column in fields(Projection))
_MOMENTS: Final = frozenset(
    {"started_at", "accepted_at", "ended_at", "last_agent_message_at", "last_user_message_at"}
)


def read_projection(row: Mapping[str, Any]) -> Projection:
    """The projection of a row of table ``conversation``, as JSON."""
    values = {name: row[name] for name in COLUMNS}
    moments = {name: datetime.fromisoformat(values[name]) for name in _MOMENTS if values[name]}
    return Projection(**{**values, **moments, "tool_names": tuple(values["tool_names"])})


def fold(row: Projection, events: Iterable[Event], at: datetime) -> Projection:
    """``row`` after ``events``, which all happened at ``at``."""
    for event in events:
        row = _apply(row, event, at)
    return row


def _apply(row: Projection, event: Event, at: datetime) -> Projection:
    match event:
        case UserMessage():
            return replace(
                row,
                status="in-progress",
                last_user_message_at=at,
                message_count=row.message_count + 1,
                user_message_count=row.user_message_count + 1,
            )
        case AgentMessage():
            return _said(row, event, at)
        case Noted():
            return replace(row, llm_usage=_used(row, event))
        case GuardrailsChecked():
            return replace(row, llm_usage=add_usage(row.llm_usage, event.usage))
        case ToolCalled():
            names = row.tool_names if event.name in row.tool_names else (*row.tool_names, event.name)
            return replace(row, tool_names=names)
        case ToolReturned() if event.language:
            return replace(row, main_language=event.language)
        case SpeechUsed():
            known = row.speech_price is not None and event.price is not None
            return replace(row, speech_price=(row.speech_price or 0) + (event.price or 0) if known else None)
        case Resumed():
            return replace(row, status="in-progress", awaiting_first_user_message=False, accepted_at=at)
        case Ended():
            return replace(
                row,
                status="processing" if event.status == "done" else event.status,
                ended_at=at,
                awaiting_first_user_message=False,
                termination_reason=event.reason,
                error=event.error,
                call_successful=_verdict(row, event),
            )
        case _:
            return row


def _verdict(row: Projection, event: Ended) -> str | None:
    """Of what the business began and nobody answered it is not known whether it succeeded."""
    if event.status == "failed":
        return "failure"
    return None if row.awaiting_first_user_message else "success"


def _said(row: Projection, event: AgentMessage, at: datetime) -> Projection:
    usage = _used(row, event)
    if not event.text:
        return replace(row, llm_usage=usage)
    return replace(
        row,
        llm_usage=usage,
        last_agent_message_at=at,
        message_count=row.message_count + 1,
        agent_message_count=row.agent_message_count + 1,
    )


def _used(row: Projection, event: AgentMessage | Noted) -> dict[str, dict[str, int]]:
    if not event.model or not event.usage:
        return row.llm_usage
    return add_usage(row.llm_usage, {event.model: event.usage})
