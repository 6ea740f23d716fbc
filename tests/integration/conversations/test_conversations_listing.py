"""Filters and pages of the list, against a filter written in Python over the same conversations."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenline.clock import ManualClock
from greenline.conversations.events import (
    AgentMessage,
    Ended,
    Event,
    GuardrailHit,
    GuardrailsChecked,
    Started,
    ToolCalled,
    ToolReturned,
    UserMessage,
)
from greenline.conversations.listing import Comparison, Direction, Filter, ToolFilter, list_conversations
from greenline.conversations.models import Conversation
from greenline.store.cursor import InvalidCursor, encode
from greenline.store.pool import Pool
from support.journal import BEGIN, Timed, projection, started, write
from support.rows import WORKSPACE, insert_workspace

WORDS = ("refund", "Order", "late", "GREEN tea", "100%", "under_score", "ÄPFEL")
HITS: tuple[tuple[GuardrailHit, ...], ...] = (
    (),
    (GuardrailHit(type="custom", name="Prices"),),
    (GuardrailHit(type="sexual", score=0.9, threshold=0.3), GuardrailHit(type="custom", name="Health")),
)
TOOLS = (("end_call", "system", ""), ("find", "webhook", "tool_1"), ("find", "webhook", "tool_2"))


@dataclass(frozen=True)
class Written:
    """A conversation as it was written, and as the list gives it."""

    row: Conversation
    events: tuple[Event, ...]

    def said(self) -> list[str]:
        return [e.text for e in self.events if isinstance(e, UserMessage | AgentMessage)]

    def hits(self) -> list[GuardrailHit]:
        return [hit for e in self.events if isinstance(e, GuardrailsChecked) for hit in e.hits]

    def variable(self, name: str) -> str:
        first = next(e for e in self.events if isinstance(e, Started))
        value = first.variables.get(name, "")
        return value if isinstance(value, str) else str(value).lower()

    def calls(self, *, invalid: bool) -> list[ToolCalled | ToolReturned]:
        if invalid:
            return [e for e in self.events if isinstance(e, ToolCalled)]
        return [e for e in self.events if isinstance(e, ToolReturned) and e.error_type != "unknown_tool"]

    def returns(self, *, is_error: bool, invalid: bool = False) -> list[ToolReturned]:
        found = [e for e in self.events if isinstance(e, ToolReturned) and e.is_error == is_error]
        return [e for e in found if invalid or e.error_type != "unknown_tool"]


def names(events: Sequence[ToolCalled | ToolReturned]) -> set[str]:
    return {event.name for event in events}


def ids(events: Sequence[ToolCalled | ToolReturned]) -> set[str]:
    return {event.tool_id or f"__system_{event.name}" for event in events}


def make(dice: random.Random, number: int) -> tuple[Any, list[Timed], dict[str, Any]]:
    source = dice.choice(["whatsapp", "whatsapp", "python_sdk"])
    row = projection(
        f"conv_{number:03}",
        agent_id=f"agent_{dice.randrange(3)}",
        branch_id=f"agtbrch_{dice.randrange(2)}",
        version_id=f"agtvrsn_{dice.randrange(4)}",
        source=source,
        direction=dice.choice(["inbound", "outbound"]),
        text_only=dice.random() < 0.7,
        phone_number_id=dice.choice(["100", "200", None]),
        user_id=dice.choice(["ann", "bob", None]),
        # Several begin at the same moment: the id decides.
        started_at=BEGIN + timedelta(seconds=dice.randrange(40) * 30, milliseconds=dice.choice([0, 0, 700])),
    )
    row = replace(row, accepted_at=None if dice.random() < 0.1 else row.started_at)
    variables = dice.choice([{}, {"plan": "gold"}, {"plan": "5"}, {"plan": 12.5}, {"plan": True}, {"plan": "a|b"}])
    events: list[Timed] = [(0, started(row, variables=variables))]
    at = 0.0
    for place in range(dice.randrange(4)):
        at += dice.random() * 40
        events.append((at, UserMessage(id=f"u{place}", text=" ".join(dice.sample(WORDS, dice.randrange(3))))))
        events.append((at, AgentMessage(id=f"a{place}", text=dice.choice(["", *WORDS]))))
        if dice.random() < 0.5:
            events.extend((at, event) for event in tool(dice, f"a{place}"))
        if dice.random() < 0.4:
            events.append((at, GuardrailsChecked(message_id=f"a{place}", hits=dice.choice(HITS))))
    if dice.random() < 0.6:
        at += dice.random() * 60
        status = dice.choice(["done", "done", "failed"])
        events.append((at, Ended(reason=dice.choice(["end_call", "silence"]), status=status)))
    columns = {
        "main_language": dice.choice(["en", "de", None]),
        "rating": dice.choice([None, None, 1, 3, 5]),
        "feedback": dice.choice([None, {"comment": None}, {"comment": ""}, {"comment": "nice"}]),
    }
    return row, events, columns


def tool(dice: random.Random, message_id: str) -> list[Event]:
    name, kind, tool_id = dice.choice(TOOLS)
    common = {"message_id": message_id, "request_id": "r", "name": name, "type": kind, "tool_id": tool_id}
    error_type = dice.choice(["", "", "http_error", "unknown_tool"])
    called = ToolCalled.model_validate(common)
    if dice.random() < 0.1:
        return [called]  # the turn died before it returned
    return [called, ToolReturned.model_validate({**common, "is_error": bool(error_type), "error_type": error_type})]


async def everything(pool: Pool, which: Filter = Filter(), **options: Any) -> list[Conversation]:  # noqa: B008 - frozen
    """All pages, one after the other."""
    found: list[Conversation] = []
    cursor = None
    while True:
        page = await list_conversations(pool, WORKSPACE, which, cursor=cursor, **options)
        found.extend(page.conversations)
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.fixture
async def written(pool: Pool, clock: ManualClock) -> list[Written]:
    """Sixty conversations of one workspace, and some of another with the same agents."""
    dice = random.Random(7)
    await insert_workspace(pool, clock.now())
    await insert_workspace(pool, clock.now(), "ws_2")
    events: dict[str, tuple[Event, ...]] = {}
    for number in range(60):
        row, said, columns = make(dice, number)
        await write(pool, row, said, **columns)
        events[row.id] = tuple(event for _, event in said)
    for number in range(60, 70):
        row, said, columns = make(dice, number)
        await write(pool, replace(row, workspace_id="ws_2"), said, **columns)
    rows = await everything(pool, page_size=100)
    assert {row.id for row in rows} == set(events)
    return [Written(row, events[row.id]) for row in rows]


Case = tuple[Filter, Callable[[Written], bool]]


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def plan(op: Any, *values: str, limit: float | None = None) -> Filter:
    return Filter(variables=(Comparison("plan", op, values, None if limit is None else Decimal(str(limit))),))


CASES: dict[str, Case] = {
    "all": (Filter(), lambda c: True),
    "agent": (Filter(agent_id="agent_1"), lambda c: c.row.agent_id == "agent_1"),
    "branch": (Filter(branch_id="agtbrch_1"), lambda c: c.row.branch_id == "agtbrch_1"),
    "version": (Filter(version_id="agtvrsn_2"), lambda c: c.row.version_id == "agtvrsn_2"),
    "user": (Filter(user_id="ann"), lambda c: c.row.user_id == "ann"),
    "visited": (
        Filter(visited_agent_ids=("agent_1", "agent_2", "agent_9")),
        lambda c: c.row.agent_id in {"agent_1", "agent_2"},
    ),
    "visited branch": (
        Filter(visited_agent_branch_ids=("agtbrch_0",)),
        lambda c: c.row.branch_id == "agtbrch_0",
    ),
    "success": (Filter(call_successful="success"), lambda c: c.row.verdict == "success"),
    "unknown": (Filter(call_successful="unknown"), lambda c: c.row.verdict == "unknown"),
    "analysis error": (Filter(call_successful="error"), lambda c: False),
    "started": (
        Filter(started_from=int(BEGIN.timestamp()) + 300, started_to=int(BEGIN.timestamp()) + 600),
        lambda c: 300 <= int(c.row.started_at.timestamp()) - int(BEGIN.timestamp()) <= 600,
    ),
    "duration": (Filter(duration_min=20, duration_max=70), lambda c: 20 <= c.row.duration_seconds <= 70),
    "no duration": (Filter(duration_max=0), lambda c: c.row.duration_seconds == 0),
    "rating": (Filter(rating_min=2, rating_max=4), lambda c: c.row.rating == 3),
    "commented": (Filter(has_feedback_comment=True), lambda c: bool((c.row.feedback or {}).get("comment"))),
    "uncommented": (Filter(has_feedback_comment=False), lambda c: not (c.row.feedback or {}).get("comment")),
    "languages": (Filter(main_languages=("de", "fr")), lambda c: c.row.main_language == "de"),
    "phone number": (
        Filter(phone_number_ids=("100",)),
        lambda c: c.row.source != "whatsapp" and c.row.phone_number_id == "100",
    ),
    "whatsapp number": (
        Filter(whatsapp_phone_number_ids=("100", "200")),
        lambda c: c.row.source == "whatsapp" and c.row.phone_number_id is not None,
    ),
    "source": (Filter(source="python_sdk"), lambda c: c.row.source == "python_sdk"),
    "text": (Filter(text_only=True), lambda c: c.row.text_only),
    "voice": (Filter(text_only=False), lambda c: not c.row.text_only),
    "statuses": (Filter(exclude_statuses=("done", "initiated")), lambda c: c.row.status not in {"done", "initiated"}),
    "reasons": (Filter(termination_reasons=("end_call",)), lambda c: c.row.termination_reason == "end_call"),
    "guardrails": (
        Filter(guardrail_types=("sexual", "violence")),
        lambda c: any(hit.type == "sexual" for hit in c.hits()),
    ),
    "guardrails of a name": (
        Filter(custom_guardrail_names=("Health", "Nothing"), guardrail_types=("custom",)),
        lambda c: any(hit.name == "Health" for hit in c.hits()),
    ),
    "tool": (
        Filter(tool_names=ToolFilter(called=("find", "nothing"))),
        lambda c: "find" in names(c.calls(invalid=False)),
    ),
    "tool, even if it never ran": (
        Filter(tool_names=ToolFilter(called=("find",)), include_invalid_tool_calls=True),
        lambda c: "find" in names(c.calls(invalid=True)),
    ),
    "tool that worked and one that did not": (
        Filter(tool_names=ToolFilter(successful=("find",), errored=("end_call", "find"))),
        lambda c: "find" in names(c.returns(is_error=False)) and bool(names(c.returns(is_error=True))),
    ),
    "tool that failed, even if it never ran": (
        Filter(tool_names=ToolFilter(errored=("end_call",)), include_invalid_tool_calls=True),
        lambda c: "end_call" in names(c.returns(is_error=True, invalid=True)),
    ),
    "tool id": (
        Filter(tool_ids=ToolFilter(called=("tool_2", "__system_end_call"))),
        lambda c: bool({"tool_2", "__system_end_call"} & ids(c.calls(invalid=False))),
    ),
    "tool id that worked": (
        Filter(tool_ids=ToolFilter(successful=("tool_1",))),
        lambda c: "tool_1" in ids(c.returns(is_error=False)),
    ),
    "variable": (plan("eq", "gold"), lambda c: c.variable("plan") == "gold"),
    "variable in": (plan("in", "gold", "true"), lambda c: c.variable("plan") in {"gold", "true"}),
    "variable is another": (plan("neq", "gold"), lambda c: c.variable("plan") != "gold"),
    "variable not set": (plan("eq", ""), lambda c: c.variable("plan") == ""),
    "variable set": (plan("neq", ""), lambda c: c.variable("plan") != ""),
    "variable above": (plan("gt", limit=5), lambda c: number(c.variable("plan")) > 5),
    "variable not above": (plan("lte", limit=5), lambda c: number(c.variable("plan")) <= 5),
    "variable below": (plan("lt", limit=12.5), lambda c: number(c.variable("plan")) < 12.5),
    "variable not below": (plan("gte", limit=12.5), lambda c: number(c.variable("plan")) >= 12.5),
    "search": (
        Filter(search="  oRDer late "),
        lambda c: all(any(word in text.lower() for text in c.said()) for word in ("order", "late")),
    ),
    "search is no pattern": (Filter(search="%"), lambda c: any("%" in text for text in c.said())),
    "search beyond ASCII": (Filter(search="äpfel"), lambda c: any("äpfel" in text.lower() for text in c.said())),
    "search for nothing": (Filter(search="  "), lambda c: True),
    "several": (
        Filter(agent_id="agent_0", text_only=True, exclude_statuses=("failed",)),
        lambda c: c.row.agent_id == "agent_0" and c.row.text_only and c.row.status != "failed",
    ),
    "impossible": (Filter(impossible=True), lambda c: False),
    "unstorable": (Filter(user_id="an\0n", search="\ud800"), lambda c: False),
}


async def test_every_filter_gives_what_it_says(pool: Pool, written: list[Written]) -> None:
    matched = 0
    for name, (which, holds) in CASES.items():
        expected = [c.row.id for c in written if holds(c)]
        found = [row.id for row in await everything(pool, which, page_size=100)]
        assert found == expected, name
        matched += bool(expected)
    assert matched >= len(CASES) - 3  # the conversations are varied enough for nearly every filter


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("page_size", [1, 7, 60])
async def test_pages_have_no_gaps_and_no_repeats(
    pool: Pool, written: list[Written], direction: Direction, page_size: int
) -> None:
    found = [row.id for row in await everything(pool, direction=direction, page_size=page_size)]
    in_order = sorted(written, key=lambda c: (c.row.started_at, c.row.id), reverse=direction == "desc")
    assert found == [c.row.id for c in in_order]


async def test_conversations_that_begin_meanwhile_shift_nothing(pool: Pool, written: list[Written]) -> None:
    first = await list_conversations(pool, WORKSPACE, Filter(), page_size=20)
    late = projection("conv_new", started_at=BEGIN + timedelta(days=1))
    await write(pool, late, [(0, started(late))])

    second = await list_conversations(pool, WORKSPACE, Filter(), page_size=20, cursor=first.next_cursor)

    seen = [row.id for row in (*first.conversations, *second.conversations)]
    assert seen == [c.row.id for c in written][:40]


STRANGE = ("", "nonsense", encode("conversations:asc", 1, "x"), encode("conversations:desc", 2**62, "x"))


@pytest.mark.parametrize("cursor", STRANGE)
async def test_strange_cursors_are_refused(pool: Pool, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await list_conversations(pool, WORKSPACE, Filter(), cursor=cursor)
