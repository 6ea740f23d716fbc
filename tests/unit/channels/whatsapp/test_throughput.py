"""How much room what comes in leaves to a number, against a count of what Meta would see."""

import random
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
    UNFORESEEN,
    Inflow,
    Throughput,
    throughput_of,
)
from greenline.store.mailbox import Claim

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def held() -> HeldNumber:
    return HeldNumber(Claim("sender:1", "ws_1", 1, 1, 0, (), ()), "1")


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
    assert Throughput(80, inflow).room(number, 1, earlier) == 75
    inflow.note("1", earlier)
    assert inflow.count("1", earlier) == 1


def test_a_single_chat_needs_no_count() -> None:
    assert Throughput(80, crowd(1)).room(held(), 1, NOW) == 73
    assert Throughput(80, Inflow()).room(held(), 1, NOW) == 75


def test_much_traffic_is_counted_first_and_again_soon() -> None:
    number, throughput = held(), Throughput(80, crowd(40))
    assert throughput.room(number, 1, NOW) is None
    throughput.counted(number, 44, NOW)
    assert throughput.room(number, 1, NOW) == 1  # of 4, a portion
    assert throughput.room(number, 1, NOW + SECOND / 5) is not None
    assert throughput.room(number, 1, NOW + SECOND / 3) is None


def test_what_other_processes_took_in_counts() -> None:
    number, throughput = held(), Throughput(800, Inflow())
    throughput.counted(number, 480, NOW)
    assert throughput.room(number, 1, NOW) == ceil((750 - 480 * 1.25 - RESERVE * 800) / PORTIONS)


@pytest.mark.parametrize(
    ("messages", "over", "room"), [(3, 0.04, 34), (5, 0.04, 0), (8, 0.2, 24), (20, 0.2, 0), (40, 1.0, 9)]
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
    begun, known = ceil((250 - RESERVE * 800) / PORTIONS), ceil(250 / PORTIONS)
    assert rooms == [begun] * int(RESERVE_SECONDS) + [known] * 2
    throughput.counted(number, 0, NOW)
    assert throughput.room(number, 1, NOW) == 750
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


class MetaCounts:
    """What Meta counts of a number: a request at its beginning, at its end or in between, and what people write."""

    def __init__(self, per_second: int) -> None:
        self.inflow = Inflow()
        self.throughput = Throughput(per_second, self.inflow)
        self.sent: list[tuple[datetime, datetime]] = []
        self.counted: list[datetime] = []
        self.number = held()

    def attempt(self, now: datetime, takes: timedelta, counted_after: float) -> None:
        """Send, if there is room, what takes so long, and is counted after that part of it."""
        self.number.landings = type(self.number.landings)(sorted(end for _, end in self.sent if end <= now))
        flights: dict[str, Any] = {str(place): None for place, (_, end) in enumerate(self.sent) if end > now}
        self.number.flights = flights  # nobody asks what they are
        self.throughput.counted(self.number, 0, now)
        if self.throughput.room(self.number, 1, now):
            self.sent.append((now, now + takes))
            self.counted.append(now + takes * counted_after)

    def most(self, written: list[datetime] | None = None) -> int:
        """The most that any second before a counted message held, that message included."""
        taken = sorted([*self.counted, *(written or [])])
        return max((sum(at - SECOND < other <= at for other in taken) for at in self.counted), default=0)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 900)), max_size=150), st.integers(1, 40))
def test_whenever_meta_takes_a_message_no_second_holds_more_than_the_rate(
    tries: list[tuple[int, int]], per_second: int
) -> None:
    """A request takes up to 900 ms, and Meta counts it at its end or at its beginning, whichever is worse."""
    for counted_after in (0.0, 1.0):
        meta, now = MetaCounts(per_second), NOW
        for gap, takes in tries:
            now += timedelta(milliseconds=gap / 10)
            meta.attempt(now, timedelta(milliseconds=takes), counted_after)
        assert meta.most() <= per_second


WEBHOOK, REQUEST = timedelta(milliseconds=200), timedelta(milliseconds=300)
"""The longest times that a webhook and a request take."""


@given(st.integers(0, 2**32))
def test_what_few_people_write_unknown_to_us_is_not_refused_either(seed: int) -> None:
    """A campaign leaves as fast as it may, while people write a sixteenth of the rate in the longest two times."""
    dice, meta, now = random.Random(seed), MetaCounts(80), NOW
    unknown, few = WEBHOOK + REQUEST, int(UNFORESEEN * 80)
    written, gap = [NOW], unknown / few
    while written[-1] < NOW + 3 * SECOND:
        if dice.random() < 0.2:  # all at once, between two silences
            written += [written[-1] + unknown] * few
            gap = unknown
        else:
            written.append(written[-1] + gap)
            gap = unknown / few
    arrived = sorted((at + WEBHOOK * dice.random()) for at in written)
    while now < NOW + 3 * SECOND:
        now += timedelta(milliseconds=dice.random() * 10)
        while arrived and arrived[0] <= now:
            meta.inflow.note("1", arrived.pop(0))
        meta.attempt(now, REQUEST * dice.random(), dice.random())
    assert meta.most(written) <= 80


def test_a_quick_network_leaves_nearly_the_whole_rate() -> None:
    meta = MetaCounts(80)
    for tick in range(4_000):
        meta.attempt(NOW + timedelta(milliseconds=tick), timedelta(milliseconds=20), 0.5)
    assert len(meta.sent) >= 4 * 72


def test_whoever_takes_a_number_over_sends_when_its_last_second_is_nearly_over() -> None:
    number, throughput = held(), Throughput(80, Inflow())
    few = int(UNFORESEEN * 80)
    number.landings.extend(NOW + SECOND * place / 100 for place in range(few))
    assert throughput.forgettable_at(number, NOW + SECOND / 10) is None
    number.landings.extend([NOW + SECOND / 5] * 2)
    assert throughput.forgettable_at(number, NOW + SECOND / 5) == NOW + SECOND / 100 + SECOND
