"""What a monitor is told of a journal."""

from datetime import UTC, datetime

import pytest

from greenline.channels.live.rich_content import shown
from greenline.channels.socket.journal_frames import JournalFrames
from greenline.conversations.events import AgentInterrupted, AgentMessage, Entry, Event, ToolReturned, UserMessage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_answer_that_was_cut_is_corrected() -> None:
    frames = JournalFrames()
    events: tuple[Event, ...] = (
        UserMessage(id="u", text="When do you open?", sent_at=NOW, received_at=NOW),
        AgentMessage(id="a", text="We open at nine, and close at six."),
        AgentInterrupted(message_id="a", heard="We open at nine"),
    )
    told = [frame for seq, event in enumerate(events, 7) for frame in frames(Entry(seq=seq, at=NOW, event=event))]
    assert [frame["type"] for frame in told] == [
        "user_transcript",
        "agent_response",
        "interruption",
        "agent_response_correction",
    ]
    assert told[2]["interruption_event"] == {"event_id": 8}
    correction = told[3]["agent_response_correction_event"]
    assert correction["original_agent_response"] == "We open at nine, and close at six."
    assert correction["corrected_agent_response"] == "We open at nine"


def test_of_an_answer_that_was_heard_to_the_end_of_its_words_there_is_nothing_to_correct() -> None:
    frames = JournalFrames()
    events: tuple[Event, ...] = (
        AgentMessage(id="a", text="One moment."),
        AgentInterrupted(message_id="a", heard="One moment."),
    )
    told = [frame for seq, event in enumerate(events, 7) for frame in frames(Entry(seq=seq, at=NOW, event=event))]
    assert [frame["type"] for frame in told] == ["agent_response", "interruption"]


def test_a_cut_of_what_was_said_before_the_history_begins_is_not_told() -> None:
    event = AgentInterrupted(message_id="a", heard="We")
    assert JournalFrames()(Entry(seq=1, at=NOW, event=event)) == ()


def test_a_row_of_buttons_is_told() -> None:
    noted = shown("rich_1", "call_1", {"buttons": []})
    [frame] = JournalFrames()(Entry(seq=4, at=NOW, event=noted))
    assert frame["rich_content"] == {
        "rich_content_id": "rich_1",
        "component": "buttons",
        "props": {"buttons": []},
        "event_id": 4,
    }


@pytest.mark.parametrize(
    ("error_type", "is_called"),
    [
        ("", True),
        ("timeout", True),
        ("no_mock_matched", False),
        ("invalid_arguments", False),
        ("not_approved", False),
        ("mcp_refused", False),
        ("mcp_unreachable", True),
    ],
)
def test_a_call_counts_as_made_when_the_tool_was_run(error_type: str, is_called: bool) -> None:
    returned = ToolReturned(message_id="a", request_id="r", name="show", type="client", error_type=error_type)
    for frame in JournalFrames()(Entry(seq=4, at=NOW, event=returned)):
        assert frame[frame["type"]]["is_called"] is is_called
