"""What the server tells an agent of the conversation itself."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentVersion
from greenline.agents.variables import OF_THE_SERVER
from greenline.conversations.events import AgentInterrupted, AgentMessage, ToolCalled, ToolReturned, UserMessage
from greenline.engine.system_variables import HISTORY, at_call, at_pick_up, at_start

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DOCS = Path(__file__).parents[3] / "docs" / "agents.md"


def begun(**prompt: str) -> dict[str, object]:
    config = ConversationConfig.model_validate({"agent": {"prompt": prompt}})
    version = AgentVersion.__new__(AgentVersion)
    object.__setattr__(version, "agent_id", "agent_1")
    return at_start(version, config, conversation_id="conv_1", text_only=True, now=NOW)


def test_a_start_sets_every_variable_of_the_server() -> None:
    assert begun().keys() == OF_THE_SERVER


def test_the_docs_name_every_variable() -> None:
    assert set(re.findall(r"system__\w+", DOCS.read_text(encoding="utf-8"))) >= OF_THE_SERVER


def test_the_time_is_that_of_the_agents_zone() -> None:
    variables = begun(timezone="Asia/Tokyo")
    assert variables["system__time"] == "Monday, 18:00 5 January 2026"
    assert variables["system__timezone"] == "Asia/Tokyo"
    assert variables["system__time_utc"] == "2026-01-05T09:00:00+00:00"
    assert begun()["system__time"] == "Monday, 09:00 5 January 2026"


def test_a_call_of_a_tool_sees_what_has_changed() -> None:
    journal = (
        AgentMessage(id="m0", text="Welcome!", origin="first_message"),
        UserMessage(id="m1", text="Tea?"),
        AgentMessage(id="m2", text=""),
        ToolCalled(message_id="m2", request_id="c1", name="find", params={"q": "tea", "so_far": HISTORY}),
        ToolReturned(message_id="m2", request_id="c1", name="find", result="oolong"),
    )
    variables = at_call(begun(), journal, NOW + timedelta(minutes=2, seconds=5))
    assert variables["system__call_duration_secs"] == 125
    assert variables["system__agent_turns"] == 1
    assert variables["system__time"] == "Monday, 09:02 5 January 2026"
    assert variables["system__conversation_id"] == "conv_1"
    history = json.loads(variables["system__conversation_history"])
    assert history[HISTORY] is True
    assert history["entries"] == [
        {"role": "agent", "message": "Welcome!"},
        {"role": "user", "message": "Tea?"},
        {
            "role": "agent",
            "tool_requests": [{"request_id": "c1", "tool_name": "find", "params": {"q": "tea", "so_far": ""}}],
        },
        {
            "role": "agent",
            "tool_results": [{"request_id": "c1", "tool_name": "find", "result": "oolong", "is_error": False}],
        },
    ]


def test_the_history_holds_what_was_heard_of_an_answer() -> None:
    journal = (
        AgentMessage(id="m0", text="We have green tea, black tea and oolong."),
        AgentInterrupted(message_id="m0", heard="We have green"),
        AgentMessage(id="m1", text="Nobody heard this."),
        AgentInterrupted(message_id="m1", heard=""),
    )
    history = json.loads(at_call(begun(), journal, NOW)["system__conversation_history"])
    assert history["entries"] == [{"role": "agent", "message": "We have green"}]


def test_time_begins_anew_when_the_person_answers_the_business() -> None:
    variables, later = begun(timezone="Asia/Tokyo"), NOW + timedelta(days=7)
    variables |= at_pick_up(variables, later)
    assert variables["system__time"] == "Monday, 18:00 12 January 2026"
    assert variables["system__call_duration_secs"] == 0
    assert at_call(variables, (), later + timedelta(seconds=3))["system__call_duration_secs"] == 3
