"""The silence before a spoken answer, taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.live.answer import STAGES, Answer
from greenline.llm.models import ToolSpec
from greenline.tools.models import ToolContext, ToolResult


def waits(marks: Mapping[str, float]) -> dict[str, float]:
    answer = Answer(1, lambda event: None, lambda: 0.0, committed=False)
    answer.marks.update(marks)
    return answer.waits()


def test_a_guess_that_was_ready_waits_for_the_end_of_the_turn() -> None:
    assert waits(
        {"voice_ended": 0.0, "paused": 0.2, "recognised": 0.25, "sentence": 0.3, "speech": 0.35, "committed": 0.5,
         "written": 0.51}
    ) == pytest.approx(
        {"end_of_turn": 200, "recognition": 50, "model": 50, "synthesis": 50, "hold": 150, "queue": 10}
    )  # fmt: skip


def test_an_answer_that_began_after_the_turn_was_held_by_nothing() -> None:
    found = waits(
        {"voice_ended": 0.0, "paused": 0.2, "committed": 0.5, "recognised": 0.6, "sentence": 0.9, "speech": 1.0,
         "written": 1.0}
    )  # fmt: skip
    assert found == pytest.approx(
        {"end_of_turn": 200, "recognition": 400, "model": 300, "synthesis": 100, "queue": 0}
    )


def test_the_silence_ends_when_the_first_packet_leaves() -> None:
    found = waits(
        {"voice_ended": 0.0, "paused": 0.2, "committed": 0.5, "recognised": 0.6, "sentence": 0.9, "speech": 1.0,
         "written": 1.001, "sent": 1.018}
    )  # fmt: skip
    assert found["queue"] == pytest.approx(18)
    assert sum(found.values()) == pytest.approx(1018)


class Lookup:
    """A tool that an agent may call."""

    spec = ToolSpec("lookup", "Looks something up.", {})
    type = "webhook"
    has_effect = False

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult("found")


def test_tools_are_told_apart_from_the_model() -> None:
    moments = iter((0.7, 0.95, 1.5))  # two at once, then one after the first sentence
    answer = Answer(1, lambda event: None, lambda: next(moments), committed=False)
    for call in ("a", "b"):
        answer.tool_called(Lookup(), {}, call)
    for call in ("a", "b"):
        answer.tool_returned(Lookup(), call, ToolResult("found"))
    marks = {"voice_ended": 0.0, "paused": 0.5, "committed": 0.5, "recognised": 0.6, "sentence": 1.0, "speech": 1.1}
    answer.marks.update(marks, written=1.1)
    answer.tool_called(Lookup(), {}, "c")
    answer.tool_returned(Lookup(), "c", ToolResult("found"))
    found = answer.waits()
    assert (found["model"], found["tools"]) == pytest.approx((150, 250))
    assert sum(found.values()) == pytest.approx(1100)


def test_words_that_follow_no_voice_have_no_waits() -> None:
    assert waits({"committed": 0.1, "sentence": 0.2, "written": 0.3}) == {}
    assert waits({"voice_ended": 0.1, "committed": 0.1}) == {}


@given(st.lists(st.floats(0, 30), min_size=len(STAGES) - 1, max_size=len(STAGES) - 1))
def test_the_parts_always_add_up(moments: list[float]) -> None:
    first, *rest = sorted(moments)
    marks = dict(
        zip(
            ("voice_ended", "paused", "recognised", "sentence", "speech", "written", "sent"),
            (first, *rest),
            strict=True,
        )
    )
    marks["committed"] = moments[-1]
    found = waits(marks)
    assert sum(found.values()) == pytest.approx((marks["sent"] - first) * 1000, abs=1)
    assert all(wait >= 0 for wait in found.values()) or marks["committed"] < first
