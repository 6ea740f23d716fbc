"""What the log says while the database is away: when it begins, now and then, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from greenline.store.batch import QueueFull
from greenline.store.objects import StorageFault
from greenline.store.outage import TOLD_EVERY_SECONDS, Outage, passes

GONE = ConnectionRefusedError("nobody there")


class Stopwatch:
    """A time that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def outage(watch: Stopwatch) -> Outage:
    return Outage(watch)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionRefusedError(111, "nobody there"), True),
        (FileNotFoundError(2, "no socket"), True),
        (FileNotFoundError(2, "no file", "/data/files/x"), False),
        (StorageFault("The bucket refuses."), False),
        (QueueFull(), True),
        (asyncpg.InternalClientError("another operation (2) is in progress"), True),
        (asyncpg.CannotConnectNowError("the database system is shutting down"), True),
        (asyncpg.UniqueViolationError("twice"), False),
    ],
)
def test_what_passes_is_the_databases(error: Exception, passing: bool) -> None:
    assert passes(error) is passing


def told(logs: list[Any]) -> list[tuple[str, float]]:
    return [(line["event"], line["seconds"]) for line in logs]


def test_it_is_told_when_it_begins_once_a_minute_and_when_it_is_over(
    outage: Outage, watch: Stopwatch, logs: list[Any]
) -> None:
    for _ in range(int(2 * TOLD_EVERY_SECONDS) + 30):
        for part in ("turns", "sender", "sender"):
            outage.met(GONE, part)
        watch.at += 1
    outage.over("turns")
    outage.over("sender")
    outage.over("sender")
    away = [("database.away", 0.0), ("database.away", 60.0), ("database.away", 120.0)]
    assert told(logs) == [*away, ("database.back", 150.0)]
    assert (logs[0]["part"], logs[0]["error"]) == ("turns", "ConnectionRefusedError: nobody there")


def test_it_is_over_when_it_is_for_all(outage: Outage, logs: list[Any]) -> None:
    outage.met(GONE, "turns")
    outage.met(GONE, "sender")
    outage.over("turns")
    outage.met(GONE, "turns")
    outage.over("sender")
    assert [line["event"] for line in logs] == ["database.away"]
    outage.over("turns")
    assert [line["event"] for line in logs] == ["database.away", "database.back"]


def test_the_next_one_is_told_at_once(outage: Outage, watch: Stopwatch, logs: list[Any]) -> None:
    for _ in range(2):
        outage.met(GONE, "turns")
        watch.at += 2
        outage.over("turns")
    assert told(logs) == [("database.away", 0.0), ("database.back", 2.0)] * 2


def test_what_does_not_go_on_for_ever_leaves_no_outage_behind(
    outage: Outage, watch: Stopwatch, logs: list[Any]
) -> None:
    outage.tell(GONE, "call")
    outage.tell(GONE, "call")
    watch.at += TOLD_EVERY_SECONDS
    outage.met(GONE, "turns")
    outage.over("turns")
    assert told(logs) == [("database.away", 0.0), ("database.away", 0.0), ("database.back", 0.0)]
