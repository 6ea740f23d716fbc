"""The silence before a spoken answer, taken apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.live.waterfall import STAGES, Waterfall


def waits(marks: Mapping[str, float]) -> dict[str, float]:
    moments = iter(marks.values())
    waterfall = Waterfall(lambda: next(moments))
    for stage in marks:
        waterfall.reach(stage)
    return waterfall.waits()


def test_a_stage_is_reached_once() -> None:
    moments = iter((0.3, 0.6, 0.9, 1.2))
    waterfall = Waterfall(lambda: next(moments))
    waterfall.follows_voice(0.0, 0.2)
    waterfall.reach("recognised")
    waterfall.reach("committed")
    waterfall.reach("written")
    assert waterfall.began == 0.0
    assert waterfall.waits()["recognition"] == pytest.approx(100)


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


def test_tools_are_told_apart_from_the_model() -> None:
    moment = 0.0
    waterfall = Waterfall(lambda: moment)

    def at(seconds: float, *steps: Callable[[], None]) -> None:
        nonlocal moment
        moment = seconds
        for step in steps:
            step()

    waterfall.reach("voice_ended")
    at(0.5, lambda: waterfall.reach("paused"), lambda: waterfall.reach("committed"))
    at(0.6, lambda: waterfall.reach("recognised"))
    at(0.7, waterfall.tool_called)
    at(0.8, waterfall.tool_called, waterfall.tool_returned)
    assert waterfall.runs_tools
    at(0.95, waterfall.tool_returned)
    assert not waterfall.runs_tools
    at(1.0, lambda: waterfall.reach("sentence"))
    at(1.1, lambda: waterfall.reach("speech"), lambda: waterfall.reach("written"))
    at(1.5, waterfall.tool_called)
    at(1.9, waterfall.tool_returned)
    found = waterfall.waits()
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
