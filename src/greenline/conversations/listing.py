"""Lists of conversations: filters, pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from greenline.conversations.models import Conversation
from greenline.conversations.tool_calls import NEVER_RAN
from greenline.store import cursor as cursors
from greenline.store.pool import Pool, Record
from greenline.store.sql import load_sql
from greenline.text import clean_data

SQL = load_sql(__package__, "listing.sql")

Direction: TypeAlias = Literal["asc", "desc"]
Operator: TypeAlias = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = tuple(column.name for column in fields(Conversation))


@dataclass(frozen=True, slots=True)
class Comparison:
    """``name op value``. What is not set counts as the empty text; ``in`` takes several values.

    ``number`` is the value for gt, gte, lt and lte, which only plain numbers pass.
    """

    name: str
    op: Operator
    values: tuple[str, ...] = ()
    number: Decimal | None = None

    @property
    def holds_for_nothing(self) -> bool:
        """Whether a value that is not set passes."""
        if self.op == "neq":
            return "" not in self.values
        return self.op in ("eq", "in") and "" in self.values


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """Tools of which one at least was called, returned without an error, or returned one."""

    called: tuple[str, ...] = ()
    successful: tuple[str, ...] = ()
    errored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which conversations; None and empty tuples take all, and what is asked for must all be fulfilled.

    ``started_from`` and ``started_to`` are Unix seconds, both included; durations are whole seconds, both included.
    ``search``: words that must all stand in messages, in any case. ``impossible`` is a wish for something that no
    conversation has (collected data, evaluations, topics, tags): it matches nothing.
    """

    agent_id: str | None = None
    branch_id: str | None = None
    version_id: str | None = None
    user_id: str | None = None
    call_successful: str | None = None
    started_from: int | None = None
    started_to: int | None = None
    duration_min: int | None = None
    duration_max: int | None = None
    rating_min: int | None = None
    rating_max: int | None = None
    has_feedback_comment: bool | None = None
    source: str | None = None
    text_only: bool | None = None
    visited_agent_ids: tuple[str, ...] = ()
    visited_agent_branch_ids: tuple[str, ...] = ()
    main_languages: tuple[str, ...] = ()
    phone_number_ids: tuple[str, ...] = ()
    whatsapp_phone_number_ids: tuple[str, ...] = ()
    exclude_statuses: tuple[str, ...] = ()
    termination_reasons: tuple[str, ...] = ()
    guardrail_types: tuple[str, ...] = ()
    custom_guardrail_names: tuple[str, ...] = ()
    tool_names: ToolFilter = ToolFilter()
    tool_ids: ToolFilter = ToolFilter()
    include_invalid_tool_calls: bool = False
    variables: tuple[Comparison, ...] = ()
    search: str | None = None
    impossible: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list; ``next_cursor`` is None on the last one."""

    conversations: tuple[Conversation, ...]
    next_cursor: str | None


async def list_conversations(
    pool: Pool,
    workspace_id: str,
    which: Filter,
    *,
    direction: Direction = "desc",
    page_size: int = 30,
    cursor: str | None = None,
) -> Page:
    """A page of conversations by their start. Raises `greenline.store.cursor.InvalidCursor`.

    Pages follow the start and the id of the last row seen: conversations that appear or go meanwhile shift nothing.
    """
    order = f"conversations:{direction}"
    after = _decode(cursor, order) if cursor is not None else (None, None)
    if which.impossible:
        return Page((), None)
    rows = await pool.fetch(SQL["page"], workspace_id, as_json(which), direction, *after, page_size + 1)
    # A union promises no order.
    rows = sorted(rows, key=lambda row: (row["started_at"], row["id"]), reverse=direction == "desc")
    shown, more = rows[:page_size], len(rows) > page_size
    next_cursor = (
        cursors.encode(order, cursors.from_moment(shown[-1]["started_at"]), shown[-1]["id"]) if more else None
    )
    return Page(tuple(map(to_conversation, shown)), next_cursor)


def to_conversation(row: Record) -> Conversation:
    """The conversation of a row that has all columns of `Conversation`."""
    return Conversation(**{**{name: row[name] for name in _COLUMNS}, "tool_names": tuple(row["tool_names"])})


def as_json(which: Filter) -> dict[str, Any]:
    """The parameter of the statement: only what is asked for."""
    values = {name: getattr(which, name) for name in _PLAIN}
    found: dict[str, Any] = {name: value for name, value in values.items() if value not in (None, ())}
    if which.started_from is not None:
        found["started_from"] = _moment(which.started_from).isoformat()
    if which.started_to is not None:
        found["started_before"] = _moment(which.started_to + 1).isoformat()
    if tools := _tools(which):
        found |= {"tools": tools, "never_ran": sorted(NEVER_RAN)}
    if which.variables:
        found["variables"] = [_comparison(wish) for wish in which.variables]
    if which.search and (words := which.search.split()):
        found["search"] = words
    plain: dict[str, Any] = clean_data(found)
    return plain


_PLAIN: Final = (
    "agent_id",
    "branch_id",
    "version_id",
    "user_id",
    "call_successful",
    "duration_min",
    "duration_max",
    "rating_min",
    "rating_max",
    "has_feedback_comment",
    "source",
    "text_only",
    "visited_agent_ids",
    "visited_agent_branch_ids",
    "main_languages",
    "phone_number_ids",
    "whatsapp_phone_number_ids",
    "exclude_statuses",
    "termination_reasons",
    "guardrail_types",
    "custom_guardrail_names",
)
"""Filters that go to the statement as they are."""


def _tools(which: Filter) -> list[dict[str, Any]]:
    return [
        {"key": key, "values": names, "outcome": outcome, "invalid": which.include_invalid_tool_calls}
        for key, wish in (("name", which.tool_names), ("id", which.tool_ids))
        for outcome, names in ((None, wish.called), ("successful", wish.successful), ("errored", wish.errored))
        if names
    ]


def _comparison(wish: Comparison) -> dict[str, Any]:
    return {
        "name": wish.name,
        "op": "in" if wish.op == "eq" else wish.op,
        "values": wish.values,
        "number": None if wish.number is None else str(wish.number),
    }


def _decode(cursor: str, order: str) -> Sequence[Any]:
    microseconds, conversation_id = cursors.decode(cursor, order, int, str)
    return cursors.to_moment(microseconds), conversation_id


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
