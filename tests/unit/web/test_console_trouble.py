"""What the console tells of a conversation in which something went wrong."""

from typing import Any

from greenline.conversations.deliveries import DeliveryError, MessageDelivery, TurnDelivery
from greenline.conversations.metadata_models import ErrorView
from greenline.conversations.transcript_models import LlmAttempt, ToolResultView, Turn
from greenline.web.console_trouble import MODEL, Trouble, explain, troubles
from greenline.web.console_turn import heard_at


def turn(**more: Any) -> Turn:
    values = {"role": "agent", "message": "Hi", "time_in_call_secs": 0, "id": "m1", "created_at_unix_ms": 10_000}
    return Turn(**{**values, "agent_metadata": None, **more})


def test_nothing_is_told_where_all_went_well() -> None:
    assert troubles(None, [turn()], []) == []


def test_each_fault_tells_what_went_wrong_what_to_do_and_where_it_is_seen() -> None:
    failed = ToolResultView(
        type="webhook",
        request_id="r",
        tool_name="stock",
        result_value="no  answer\nfrom the shop",
        is_error=True,
        tool_has_been_called=True,
        tool_latency_secs=1.0,
        error_type="",
        raw_error_message="",
    )
    undelivered = MessageDelivery(outbox_id="o", state="failed", error=DeliveryError(code=131026, title="Gone"))
    turns = [
        turn(llm_attempts=[LlmAttempt(model="gpt", error="quota", seconds=1.0)]),
        turn(id="m2", tool_results=[failed]),
        turn(id="m3", delivery=TurnDelivery(state="failed", messages=[undelivered])),
    ]
    found = troubles(ErrorView(code=1011, reason="The server went away."), turns, [])
    assert [(one.text, one.turn_id) for one in found] == [
        ("Failed (1011): The server went away.", ""),
        ("The model gpt did not answer: quota", "m1"),
        ("The tool stock failed: no answer from the shop", "m2"),
        ("A message was not delivered: Gone (code 131026)", "m3"),
    ]
    assert all(one.advice for one in found[1:])


def test_a_turn_that_failed_is_told_once_by_its_code() -> None:
    silent = {"code": "synthesis_failed", "reason": "HTTP 401"}
    other = {"code": "something_new", "reason": None}
    found = troubles(None, [], [silent, silent, other])
    assert [(one.text, one.times) for one in found] == [
        ("The words could not be spoken. HTTP 401", 2),
        ("The agent could not answer.", 1),
    ]
    assert "provider" in found[0].advice
    assert found[1] == Trouble("The agent could not answer.", MODEL)


def test_a_delivery_without_a_reason_says_so() -> None:
    assert explain(DeliveryError()) == ("No reason was given", "")


def test_a_turn_is_heard_where_it_was_said() -> None:
    assert heard_at(turn(), 4.0) == 6.0
    assert heard_at(turn(), 11.0) == 0.0
