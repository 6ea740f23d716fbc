"""When a conversation ends by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from greenline.conversations.events import AgentMessage, Ended, Resumed, ToolCalled, UserMessage
from greenline.conversations.lifecycle import INACTIVITY, MAX_DURATION, deadline
from greenline.conversations.projection import Projection, fold

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ROW = Projection(
    id="conv_1",
    workspace_id="w",
    agent_id="agent_1",
    branch_id="b",
    version_id="v",
    source="whatsapp",
    started_at=NOW,
    accepted_at=NOW,
)


def end(row: Projection) -> tuple[timedelta, str] | None:
    found = deadline(row, max_duration_seconds=600, inactivity_seconds=900)
    return (found.at - NOW, found.reason) if found else None


def test_the_maximum_counts_from_acceptance() -> None:
    assert end(ROW) == (timedelta(seconds=600), MAX_DURATION)


def test_inactivity_counts_from_the_agents_last_message() -> None:
    row = replace(ROW, last_agent_message_at=NOW - timedelta(seconds=400))
    assert end(row) == (timedelta(seconds=500), INACTIVITY)


def test_a_maximum_beyond_the_calendar_is_none() -> None:
    """An agent may have any: the conversation goes on until something else ends it."""
    row = replace(ROW, last_agent_message_at=NOW)
    found = deadline(row, max_duration_seconds=2**53 - 1, inactivity_seconds=900)
    assert found is not None
    assert (found.at - NOW, found.reason) == (timedelta(seconds=900), INACTIVITY)


def test_no_clock_runs_before_the_reply_to_a_template() -> None:
    waiting = replace(ROW, accepted_at=None, awaiting_first_user_message=True)
    assert end(waiting) is None
    assert end(fold(waiting, [Resumed()], NOW + timedelta(days=3))) == (timedelta(days=3, seconds=600), MAX_DURATION)


def test_the_projection_follows_the_journal() -> None:
    row = fold(
        ROW,
        [
            UserMessage(id="1", text="hi"),
            AgentMessage(id="2", text="", model="m", usage={"input": 5, "output": 1}),
            ToolCalled(message_id="2", request_id="r", name="end_call"),
            AgentMessage(id="3", text="Bye", model="m", usage={"input": 2, "output": 1}),
            Ended(reason="over"),
        ],
        NOW,
    )
    assert (row.message_count, row.user_message_count, row.agent_message_count) == (2, 1, 1)
    assert row.llm_usage == {"m": {"input": 7, "output": 2}}
    assert row.tool_names == ("end_call",)
    assert (row.status, row.termination_reason, row.call_successful, row.is_open) == (
        "processing",
        "over",
        "success",
        False,
    )
