"""What is late is judged by what it takes by itself; what yields to it never stops."""

from __future__ import annotations

import pytest

from greenline.store.precedence import STALE, UNNOTICED, WINDOW, Delay, Share


def one(delay: Delay, took: float, *, at: float = 100.0) -> float:
    """An operation of ``took`` seconds; returns when it was over."""
    moments = iter((at, at + took))
    with delay.operation(moments.__next__):
        pass
    return at + took


def many(delay: Delay, took: float, *, at: float = 100.0, times: int = 50) -> float:
    """Operations of ``took`` seconds, one after the other; returns when the last was over."""
    for _ in range(times):
        at = one(delay, took, at=at)
    return at


def test_nothing_is_late_before_anything_was_done() -> None:
    assert not Delay().late(100.0)


@pytest.mark.parametrize("usual", [0.001, 0.02])
def test_late_is_what_takes_four_times_as_long_as_usual(usual: float) -> None:
    delay = Delay()
    at = many(delay, usual)
    assert not delay.late(at)
    at = many(delay, 3 * usual, at=at)
    assert not delay.late(at)
    at = many(delay, 6 * usual, at=at)
    assert delay.late(at)


def test_one_that_took_long_is_chance() -> None:
    delay = Delay()
    at = many(delay, 0.001)
    with delay.operation(iter((at, at + 0.03)).__next__):
        assert not delay.late(at + 0.029)
    assert not delay.late(at + 0.03)


def test_a_disk_that_takes_now_long_now_short_is_not_late() -> None:
    delay, at = Delay(), 100.0
    for number in range(500):
        at = many(delay, (0.0015, 0.016)[number % 2], at=at, times=1)
        assert not delay.late(at)
    assert delay.late(many(delay, 0.06, at=at))


def test_what_nobody_notices_is_not_late() -> None:
    delay = Delay()
    at = many(delay, UNNOTICED / 50)
    assert not delay.late(many(delay, UNNOTICED, at=at))


def test_a_delay_of_long_ago_says_nothing() -> None:
    delay = Delay()
    at = many(delay, 0.05, at=many(delay, 0.001))
    assert delay.late(at)
    assert not delay.late(at + STALE)


@pytest.mark.parametrize("slow", [0, 20])
def test_one_that_does_not_end_is_late_while_it_lasts(slow: int) -> None:
    delay = Delay()
    at = many(delay, 0.3, at=many(delay, 0.001), times=slow)
    with delay.operation(iter((at, at + 1)).__next__):
        assert all(delay.late(at + taken) for taken in (0.05, STALE, 2 * STALE, 0.9))


def test_one_that_failed_says_nothing() -> None:
    delay = Delay()
    at = many(delay, 0.001)
    with pytest.raises(OSError), delay.operation(iter((at, at + 60)).__next__):
        raise OSError
    assert not delay.late(at)
    assert not delay.late(at + 60)


def test_a_disk_that_became_slow_is_the_measure_in_the_end() -> None:
    delay = Delay()
    at = many(delay, 0.02, at=many(delay, 0.001))
    assert delay.late(at)
    at = many(delay, 0.02, at=at, times=int(2 * WINDOW / 0.02) + 2)
    assert not delay.late(at)


def test_a_share_falls_by_half_and_grows_by_one() -> None:
    share, seen = Share(20), list[int]()
    for late in (False, True, True, True, True, True, True, False, False):
        share.adapt(late=late)
        seen.append(share.size)
    assert seen == [20, 10, 5, 2, 1, 1, 1, 2, 3]
