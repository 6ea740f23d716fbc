"""The rates and the window, against a count of what Meta would see."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.pacing import (
    LONGEST_OUTAGE,
    TEMPLATE_PATIENCE,
    UNHEARD,
    WINDOW_CLOSED,
    Candidate,
    Pace,
    Refuse,
    Rules,
    Send,
    Wait,
    judge,
    number_pace,
    repeat_at,
    window_open,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
RULES = Rules(number_pace(80), Pace(timedelta(seconds=6), 30), timedelta(seconds=60), 8)


def candidate(**changes: Any) -> Candidate:
    known: dict[str, Any] = {"kind": "text", "created_at": NOW, "due_at": NOW, "attempt": 0, "unknown_outcomes": 0}
    known |= {"last_user_message_at": NOW, "pair_clock": None}
    return Candidate(**{**known, **changes})


@given(st.integers(1, 1000), st.lists(st.floats(0, 3), max_size=120))
def test_no_second_ever_holds_more_than_the_rate(per_second: int, gaps: list[float]) -> None:
    pace = number_pace(per_second)
    clock, now, sent = None, NOW, []
    for gap in [*gaps, *[0.0] * 200]:
        now = max(now + timedelta(seconds=gap / 100), pace.earliest(clock, now))
        clock = pace.after(clock, now)
        sent.append(now)
    for first in sent:
        assert sum(first <= moment < first + timedelta(seconds=1) for moment in sent) <= per_second


def test_a_burst_to_one_person_is_repaid_by_silence() -> None:
    pace = Pace(timedelta(seconds=6), 3)
    clock = None
    for _ in range(3):
        assert pace.earliest(clock, NOW) == NOW
        clock = pace.after(clock, NOW)
    assert pace.earliest(clock, NOW) == NOW + timedelta(seconds=6)
    assert pace.earliest(clock, NOW + timedelta(seconds=18)) == NOW + timedelta(seconds=18)


def test_a_machine_whose_clock_is_set_back_sends_on() -> None:
    pace, clock = number_pace(80), None
    for _ in range(pace.burst):
        clock = pace.after(clock, NOW)
    earlier = NOW - timedelta(hours=1)
    assert pace.earliest(clock, earlier) == earlier + pace.interval
    assert pace.after(clock, earlier + pace.interval) <= earlier + (pace.burst + 2) * pace.interval


def test_a_free_message_is_sent() -> None:
    verdict = judge(candidate(), RULES, None, NOW)
    assert isinstance(verdict, Send)
    assert verdict.pair_clock == NOW + timedelta(seconds=6)


def test_the_window_is_judged_when_sending() -> None:
    late = NOW + timedelta(hours=24)
    verdict = judge(candidate(), RULES, None, late)
    assert isinstance(verdict, Refuse)
    assert verdict.code == WINDOW_CLOSED
    assert isinstance(judge(candidate(kind="template"), RULES, None, late), Send)


def test_the_window_has_a_margin() -> None:
    margin = timedelta(seconds=60)
    assert window_open(NOW, margin, NOW + timedelta(hours=23, minutes=58))
    assert not window_open(NOW, margin, NOW + timedelta(hours=23, minutes=59))
    assert not window_open(None, margin, NOW)


def test_rates_make_a_message_wait() -> None:
    ahead = NOW + timedelta(seconds=6 * 30)
    assert judge(candidate(pair_clock=ahead), RULES, None, NOW) == Wait(NOW + timedelta(seconds=6))
    busy = NOW + timedelta(seconds=1)
    assert isinstance(judge(candidate(), RULES, busy, NOW), Wait)


def test_what_may_have_arrived_is_not_tried_for_ever() -> None:
    verdict = judge(candidate(attempt=9, unknown_outcomes=8), RULES, None, NOW)
    assert isinstance(verdict, Refuse)
    assert verdict.code is None  # it is not Meta's: no advice on Meta's codes fits


def test_what_meta_refuses_for_now_is_tried_while_it_is_of_use() -> None:
    assert isinstance(judge(candidate(attempt=100), RULES, None, NOW + timedelta(hours=23)), Send)
    template = candidate(kind="template", attempt=100)
    assert isinstance(judge(template, RULES, None, NOW + TEMPLATE_PATIENCE - timedelta(seconds=1)), Send)
    assert isinstance(judge(template, RULES, None, NOW + TEMPLATE_PATIENCE), Refuse)


def test_a_message_waits_until_it_is_due() -> None:
    assert judge(candidate(due_at=NOW + timedelta(seconds=5)), RULES, None, NOW) == Wait(NOW + timedelta(seconds=5))


FIVE_MINUTES = UNHEARD.total_seconds()
HOUR = LONGEST_OUTAGE.total_seconds()


@pytest.mark.parametrize(
    ("listening", "heard", "cut_off", "waits"),
    [
        (-60, None, False, 20),  # nobody writes
        (-60, None, True, FIVE_MINUTES),
        (-60, 0.1, False, 20),  # its own status would have come as soon
        (-60, 20, False, 20),
        (-60, 21, False, 21 + 21 + 20),  # Meta was not heard for a while: what it repeats comes as late again
        (-60, 7200, True, 7200 + HOUR + 20),
        (5, None, False, 5 + 5 + 20),  # nobody listened until then
        (600, None, False, 600 + 600 + 20),
        (600, None, True, 600 + 600 + FIVE_MINUTES),
        (600, 0.1, False, 600 + 600 + 20),  # somebody did, but not without a break
        (5, 30, False, 30 + 30 + 20),
        (7200, None, False, 7200 + HOUR + 20),
        (None, None, False, FIVE_MINUTES),  # nobody listens
        (None, 0.1, False, FIVE_MINUTES),
    ],
)
def test_an_unknown_outcome_waits_as_long_as_a_status_may_still_come(
    listening: float | None, heard: float | None, cut_off: bool, waits: float
) -> None:
    since, at = (NOW + timedelta(seconds=when) if when is not None else None for when in (listening, heard))
    assert repeat_at(NOW, since, at, cut_off, timedelta(seconds=20)) == NOW + timedelta(seconds=waits)
