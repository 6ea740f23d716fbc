"""How much room what comes in leaves to a number, against a count of what Meta would see."""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.held_number import HeldNumber
from greenline.channels.whatsapp.throughput import (
    FULL_SECONDS,
    PORTIONS,
    RESERVE,
    RESERVE_SECONDS,
    Inflow,
    Throughput,
    throughput_of,
)
from greenline.store.mailbox import Claim

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def held() -> HeldNumber:
    return HeldNumber(Claim("sender:1", "ws_1", 1, 1, 0, (), ()), "1", None)


def crowd(messages: int, over: timedelta = SECOND) -> Inflow:
    """So many messages, evenly in the time before `NOW`."""
    inflow = Inflow()
    for number in range(messages):
        inflow.note("1", NOW - over + over * number / messages)
    return inflow


@pytest.mark.parametrize(
    ("setting", "account_type", "level", "per_second"),
    [
        (80, None, None, 80),
        (80, "cloud_api", "STANDARD", 80),
        (80, "cloud_api", "HIGH", 1000),
        (64, "cloud_api", "HIGH", 800),
        (500, "cloud_api", "HIGH", 1000),
        (1500, "cloud_api", "HIGH", 1500),
        (80, "coexistence", "HIGH", 20),
        (10, "coexistence", None, 10),
    ],
)
def test_the_rate_of_a_number_follows_what_it_is(
    setting: float, account_type: str | None, level: str | None, per_second: float
) -> None:
    assert throughput_of(setting, account_type, level) == per_second


def test_no_chat_rests_until_a_time_from_before_the_clock_of_the_machine_was_set_back() -> None:
    number, earlier = held(), NOW - timedelta(hours=1)
    number.out_of_view(NOW)
    number.resting["chat"] = NOW + SECOND
    assert number.out_of_view(NOW) == ["chat"]
    assert number.out_of_view(earlier) == []


def test_what_came_and_went_before_the_clock_of_the_machine_was_set_back_counts_no_more() -> None:
    number, inflow, earlier = held(), crowd(80), NOW - timedelta(hours=1)
    number.landings.extend([NOW] * 80)
    assert Throughput(80, inflow).room(number, 1, NOW) is None
    assert Throughput(80, inflow).room(number, 1, earlier) == 80
    inflow.note("1", earlier)
    assert inflow.count("1", earlier) == 1


def test_a_single_chat_needs_no_count() -> None:
    assert Throughput(80, crowd(1)).room(held(), 1, NOW) == 78
    assert Throughput(80, Inflow()).room(held(), 1, NOW) == 80


def test_much_traffic_is_counted_first_and_again_soon() -> None:
    number, throughput = held(), Throughput(80, crowd(40))
    assert throughput.room(number, 1, NOW) is None
    throughput.counted(number, 48, NOW)
    assert throughput.room(number, 1, NOW) == 1  # of 20, a portion
    assert throughput.room(number, 1, NOW + SECOND / 5) is not None
    assert throughput.room(number, 1, NOW + SECOND / 3) is None


def test_what_other_processes_took_in_counts() -> None:
    number, throughput = held(), Throughput(800, Inflow())
    throughput.counted(number, 480, NOW)
    assert throughput.room(number, 1, NOW) == ceil((200 - RESERVE * 800) / PORTIONS)


@pytest.mark.parametrize(
    ("messages", "over", "room"), [(3, 0.04, 39), (5, 0.04, 0), (8, 0.2, 29), (20, 0.2, 0), (40, 1.0, 14)]
)
def test_a_burst_is_foreseen_from_its_beginning(messages: int, over: float, room: int) -> None:
    number, throughput = held(), Throughput(80, crowd(messages, timedelta(seconds=over)))
    throughput.counted(number, 0, NOW)
    assert throughput.room(number, 1, NOW) == ceil(room / PORTIONS)


def test_what_is_left_free_for_a_crowd_that_begins_is_used_once_it_is_known() -> None:
    number, throughput, rooms = held(), Throughput(800, Inflow()), list[int | None]()
    for tick in range(int(RESERVE_SECONDS) + 2):
        throughput.counted(number, 400, NOW + tick * SECOND)
        rooms.append(throughput.room(number, 1, NOW + tick * SECOND))
    begun, known = ceil((300 - RESERVE * 800) / PORTIONS), 300 / PORTIONS
    assert rooms == [begun] * int(RESERVE_SECONDS) + [known] * 2
    throughput.counted(number, 0, NOW)
    assert throughput.room(number, 1, NOW) == 800
    throughput.counted(number, 400, NOW)
    assert throughput.room(number, 1, NOW) == begun


def test_what_comes_in_is_waited_for_but_not_for_ever() -> None:
    number, throughput = held(), Throughput(80, Inflow())
    rooms = []
    for tick in range(int(FULL_SECONDS) + 2):
        throughput.counted(number, 200, NOW + tick * SECOND)
        rooms.append(throughput.room(number, 1, NOW + tick * SECOND))
    assert rooms == [0] * int(FULL_SECONDS) + [1, 1]  # of an eighth, a portion
    throughput.counted(number, 0, NOW)
    throughput.room(number, 1, NOW)
    throughput.counted(number, 200, NOW)
    assert throughput.room(number, 1, NOW) == 0


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 900)), max_size=150), st.integers(1, 40))
def test_whenever_meta_takes_a_message_no_second_holds_more_than_the_rate(
    tries: list[tuple[int, int]], per_second: int
) -> None:
    """A request takes up to 900 ms, and Meta counts it at its end or at its beginning, whichever is worse."""
    number, throughput = held(), Throughput(per_second, Inflow())
    sent: list[tuple[datetime, datetime]] = []
    now = NOW
    for gap, takes in tries:
        now += timedelta(milliseconds=gap / 10)
        number.landings = type(number.landings)(sorted(end for _, end in sent if end <= now))
        flights: dict[str, Any] = {str(place): None for place, (_, end) in enumerate(sent) if end > now}
        number.flights = flights  # nobody asks what they are
        throughput.counted(number, 0, now)
        if throughput.room(number, 1, now):
            sent.append((now, now + timedelta(milliseconds=takes)))
    for early in (False, True):
        counted = sorted(start if early else end for start, end in sent)
        for moment in counted:
            assert sum(moment - SECOND < other <= moment for other in counted) <= per_second
