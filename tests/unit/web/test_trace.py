"""The steps behind a chat, from the log of the wire."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    CallPermission,
    Event,
    HumanTakeover,
    Noted,
    TurnTimed,
    UserMessage,
    dump_event,
)
from greenline.web.trace import Caption, Step, captions, in_order, journal_steps, sent_steps, taken, wire_step


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"seq": 7, "at": 100.0, "kind": kind, **fields}


@pytest.mark.parametrize(
    ("given", "title", "bad"),
    [
        (event("inbound", person_id="ann", phone_number_id="1", type="text"), "The person sends", False),
        (event("message.delivered", person_id="ann"), "Status: delivered", False),
        (event("message.failed", person_id="ann", code=131026), "Status: failed", True),
        (event("read_receipt", person_id="ann", phone_number_id="1"), "Graph call: mark as read", False),
        (event("webhook.attempt", status=503, error=None, attempt=1), "Webhook not taken", True),
        (event("graph.request", status=400, error=131056, path="/v23.0/1/messages"), "Graph refused", True),
        (event("fault", name="slow"), "Fault", True),
    ],
)
def test_an_event_of_the_chat_is_a_step(given: dict[str, Any], title: str, bad: bool) -> None:
    step = wire_step(given, "ann", "1")
    assert step is not None
    assert (step.title, step.bad) == (title, bad)


@pytest.mark.parametrize(
    "given",
    [
        event("inbound", person_id="ben", phone_number_id="1", type="text"),
        event("inbound", person_id="ann", phone_number_id="2", type="text"),
        event("webhook.attempt", status=200, error=None, attempt=1),
        event("graph.request", status=200, error=None, path="/v23.0/1/messages"),
        event("graph.request", status=400, error=100, path="/v23.0/12/messages"),
        event("clock", advance_seconds=5),
    ],
)
def test_what_belongs_to_another_chat_or_is_told_elsewhere_is_no_step(given: dict[str, Any]) -> None:
    assert wire_step(given, "ann", "1") is None


def test_steps_of_the_same_moment_are_in_the_order_of_their_way() -> None:
    steps = [
        Step("c", 5.0, "model", "m", rank=5),
        Step("a", 5.0, "webhook", "w", rank=1),
        Step("b", 4.0, "turn", "t"),
    ]
    assert [step.key for step in in_order(steps)] == ["b", "a", "c"]


def test_a_message_is_taken_when_its_webhook_is_committed() -> None:
    committed = Step("inbox:1", 5.0, "webhook", "w", detail={"dedupe": "wamid.1"})
    assert taken([committed, Step("x", 5.0, "person", "p", detail={"message_id": "wamid.2"})]) == {"wamid.1"}


def test_events_of_the_same_moment_are_in_the_order_of_the_log() -> None:
    steps = [wire_step({**event("read_receipt"), "seq": seq}, "ann", "1") for seq in (10, 9)]
    assert [step.detail["seq"] for step in in_order(step for step in steps if step)] == [9, 10]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (UserMessage(id="m", text="hi"), [("turn", "Turn takes the message", "hi")]),
        (
            UserMessage(id="m", text="hi", medium="audio"),
            [("speech", "Recognised", "hi"), ("turn", "Turn takes the message", "hi")],
        ),
        (
            AgentMessage(id="m", text="Nine", model="offline", seconds=0.25, medium="audio", file_ids=("file_1",)),
            [("model", "Model: offline", "250 ms"), ("speech", "Voice note made", "Nine")],
        ),
        (AgentMessage(id="m", text="Hi", origin="human"), [("turn", "A human writes", "Hi")]),
        (
            TurnTimed(message_id="m", waits={"end_of_turn": 300.0, "recognition": 41.6}),
            [("speech", "Silence before the answer: 342 ms", "end of turn 300, recognition 42")],
        ),
        (AgentInterrupted(message_id="m", heard="We are"), [("speech", "Interrupted; heard so far", "We are")]),
        (HumanTakeover(active=True), [("turn", "A human takes over", "")]),
        (
            CallPermission(state="accepted", permanent=False),
            [("person", "Permission to call: accepted", "temporary")],
        ),
        (CallPermission(state="sent"), [("person", "Permission to call: sent", "")]),
        (Noted(what="interactive", detail={"text": "You may call"}), [("turn", "Interactive", "You may call")]),
        (Noted(what="order_refused", detail={"command": "x"}), [("turn", "Order refused", "")]),
    ],
)
def test_an_event_of_the_journal_is_told_in_steps(event: Event, told: list[tuple[str, str, str]]) -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    row = {"conversation_id": "conv_1", "seq": 3, "at": at, "kind": event.kind, "data": dump_event(event)}
    steps = in_order(journal_steps([row]))
    assert [(step.side, step.title, step.note) for step in steps] == told


def test_an_event_that_is_not_known_is_no_step() -> None:
    row = {"conversation_id": "conv_1", "seq": 3, "at": datetime(2026, 1, 5, tzinfo=UTC), "kind": "x", "data": {}}
    assert list(journal_steps([row])) == []


def test_a_delivery_comes_after_the_message_though_meta_told_of_it_first() -> None:
    """The answer to the call is late, or the server was too busy to read it."""
    begun = datetime.fromtimestamp(99.9, UTC)
    row: dict[str, Any] = {
        "id": "out_1",
        "kind": "text",
        "body": {},
        "state": "accepted",
        "attempt": 1,
        "wamid": "wamid.1",
        "error": None,
        "attempted_at": begun,
        "accepted_at": begun + timedelta(seconds=0.5),
        "failed_at": None,
    }
    delivered = wire_step(event("message.delivered", person_id="ann"), "ann", "1")
    assert delivered is not None
    told = [(step.title, step.note) for step in in_order([delivered, *sent_steps([row])])]
    assert told == [("Graph call: send text", "accepted in 500 ms"), ("Status: delivered", "")]


def test_captions_are_what_was_said_and_heard() -> None:
    said: list[Event] = [
        AgentMessage(id="a", text="Hello, how can I help?", origin="first_message"),
        AgentInterrupted(message_id="a", heard="Hello,"),
        UserMessage(id="b", text="Are you open?", medium="audio"),
        AgentMessage(id="c", text=""),
        AgentMessage(id="d", text="Until seven."),
        AgentInterrupted(message_id="x", heard="nobody"),
        AgentMessage(id="e", text="By the way"),
        AgentInterrupted(message_id="e", heard=""),
    ]
    rows = [{"kind": event.kind, "data": dump_event(event)} for event in said]
    assert captions(rows) == [
        Caption("a", "agent", "Hello, …"),
        Caption("b", "person", "Are you open?"),
        Caption("d", "agent", "Until seven."),
    ]
