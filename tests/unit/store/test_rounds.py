"""Loops that go on whatever a round meets."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog

from greenline.clock import ManualClock
from greenline.store import rounds
from greenline.store.objects import StorageFault
from greenline.store.outage import Outage
from greenline.store.rounds import Rounds
from support.wait import eventually


class Looking(Rounds):
    """There is more after the first rounds; the first may meet a fault."""

    def __init__(self, clock: ManualClock, *, more: int = 0, fault: Exception | None = None) -> None:
        super().__init__(clock, "looking", 60.0)
        self.more = more
        self.fault = fault
        self.made = 0

    async def round(self) -> bool:
        self.made += 1
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        return self.made <= self.more


async def test_the_next_round_comes_at_once_where_there_may_be_more() -> None:
    clock = ManualClock()
    looking = Looking(clock, more=2)
    looking.start()
    await eventually(lambda: looking.made == 3)
    await _idle()
    assert looking.made == 3
    clock.advance(timedelta(seconds=60))
    await eventually(lambda: looking.made == 4)
    await looking.stop(0.0)


async def test_a_round_that_fails_is_told_of_and_the_next_one_comes() -> None:
    clock = ManualClock()
    looking = Looking(clock, fault=ValueError("a bug"))
    with structlog.testing.capture_logs() as logs:
        looking.start()
        await eventually(lambda: looking.made == 1)
        await _idle()
        clock.advance(timedelta(seconds=60))
        await eventually(lambda: looking.made == 2)
    assert [(line["event"], line["part"]) for line in logs] == [("rounds.fault", "looking")]
    await looking.stop(0.0)


async def test_a_database_that_is_away_is_told_of_without_a_trace_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "OUTAGE", Outage())
    clock = ManualClock()
    looking = Looking(clock, fault=OSError("away"))
    with structlog.testing.capture_logs() as logs:
        looking.start()
        await eventually(lambda: looking.made == 1)
        await _idle()
        clock.advance(timedelta(seconds=60))
        await eventually(lambda: len(logs) == 2)
    assert [line["event"] for line in logs] == ["database.away", "database.back"]
    assert (logs[0]["part"], logs[0]["error"]) == ("looking", "OSError: away")
    await looking.stop(0.0)


async def test_a_storage_that_is_away_is_no_database_that_is() -> None:
    looking = Looking(ManualClock(), fault=StorageFault("The bucket refuses."))
    with structlog.testing.capture_logs() as logs:
        looking.start()
        await eventually(lambda: logs)
    about = {"part": "looking", "error": "The bucket refuses.", "log_level": "error"}
    assert logs == [{"event": "rounds.storage_away", **about}]
    await looking.stop(0.0)


async def test_it_tells_whether_it_is_alive() -> None:
    looking = Looking(ManualClock())
    assert looking.state() == {"looking": False}
    looking.start()
    assert looking.state() == {"looking": True}
    await looking.stop(0.0)
    assert looking.state() == {"looking": False}
    await looking.stop(0.0)


async def _idle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
