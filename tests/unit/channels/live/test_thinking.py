"""What a model thinks is told before its answer, apart from it, and not of a guess that was wrong."""

from __future__ import annotations

from greenline.channels.live.answer import Answer
from greenline.channels.live.models import LiveEvent, ReasoningPart, ResponsePart
from greenline.llm.models import ModelReply


def test_thoughts_come_before_the_words_and_are_no_part_of_them() -> None:
    told: list[LiveEvent] = []
    answer = Answer(3, told.append, lambda: 0.0, committed=True)
    answer.thinks("They ask ")
    answer.thinks("for the time.")
    answer.delta("It is nine.")
    answer.reply(ModelReply("m", "It is nine."))
    assert [(type(event), event.type) for event in told if isinstance(event, ReasoningPart | ResponsePart)] == [
        (ReasoningPart, "start"),
        (ReasoningPart, "delta"),
        (ReasoningPart, "delta"),
        (ReasoningPart, "stop"),
        (ResponsePart, "start"),
        (ResponsePart, "delta"),
        (ResponsePart, "stop"),
    ]


def test_thoughts_that_end_in_a_tool_are_closed() -> None:
    told: list[LiveEvent] = []
    answer = Answer(3, told.append, lambda: 0.0, committed=True)
    answer.thinks("I look it up.")
    answer.reply(ModelReply("m", ""))
    assert [event.type for event in told if isinstance(event, ReasoningPart)] == ["start", "delta", "stop"]


def test_thoughts_of_a_guess_wait_until_the_person_has_finished() -> None:
    told: list[LiveEvent] = []
    answer = Answer(3, told.append, lambda: 0.0, committed=False)
    answer.thinks("They ask for the time.")
    assert told == []
    answer.commit()
    assert [event.text for event in told if isinstance(event, ReasoningPart)] == ["", "They ask for the time."]
