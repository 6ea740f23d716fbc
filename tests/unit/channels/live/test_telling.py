"""What listeners are told of an answer, in which order, and when."""

from __future__ import annotations

import pytest

from greenline.channels.live.models import (
    AgentResponse,
    AgentTyping,
    LiveEvent,
    ReasoningPart,
    ResponsePart,
    TentativeResponse,
)
from greenline.channels.live.telling import Telling


@pytest.fixture
def told() -> list[LiveEvent]:
    return []


@pytest.fixture
def telling(told: list[LiveEvent]) -> Telling:
    """That of an answer that is no guess."""
    telling = Telling(3, told.append)
    telling.release()
    return telling


def test_a_text_has_a_beginning_pieces_an_end_and_is_told_whole(telling: Telling, told: list[LiveEvent]) -> None:
    telling.says("It is ")
    telling.says("nine.")
    assert (telling.begun, telling.partial) == (True, "It is nine.")
    telling.has_said("It is nine.")
    (name,) = {event.response_id for event in told if isinstance(event, ResponsePart | AgentResponse)}
    assert told == [
        ResponsePart(3, "", "start", name),
        ResponsePart(3, "It is ", "delta", name),
        ResponsePart(3, "nine.", "delta", name),
        ResponsePart(3, "", "stop", name),
        AgentResponse(3, "It is nine.", name),
    ]
    assert telling.partial == ""


def test_each_text_has_its_own_name(telling: Telling, told: list[LiveEvent]) -> None:
    for text in ("One moment.", "It is nine."):
        telling.says(text)
        telling.has_said(text)
    first, second = (event.response_id for event in told if isinstance(event, AgentResponse))
    assert first != second


def test_thoughts_end_where_the_words_begin(telling: Telling, told: list[LiveEvent]) -> None:
    telling.thinks("They ask for the time.")
    telling.says("It is nine.")
    telling.has_thought()
    assert told[:3] == [
        ReasoningPart(3, "", "start"),
        ReasoningPart(3, "They ask for the time.", "delta"),
        ReasoningPart(3, "", "stop"),
    ]
    assert [type(event) for event in told[3:]] == [ResponsePart, ResponsePart]


def test_who_reads_sees_work_until_there_is_text(telling: Telling, told: list[LiveEvent]) -> None:
    telling.works()
    telling.works()
    telling.says("It is nine.")
    telling.rests()
    assert [event for event in told if isinstance(event, AgentTyping)] == [
        AgentTyping(is_typing=True),
        AgentTyping(is_typing=False),
    ]


def test_of_a_guess_no_more_is_told_than_what_it_would_say(told: list[LiveEvent]) -> None:
    telling = Telling(3, told.append)
    telling.says("It is nine.")
    telling.would_say("It is nine.")
    telling.has_said("It is nine.")
    assert told == [TentativeResponse("It is nine.")]
    telling.release()
    assert [type(event) for event in told[1:]] == [ResponsePart, ResponsePart, ResponsePart, AgentResponse]
    telling.would_say("It is ten.")
    assert len(told) == 5
