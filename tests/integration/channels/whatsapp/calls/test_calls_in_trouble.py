"""Whatever happens to a call, in whatever order: it ends once and in time, here and at Meta; nothing is left of it.

The state machine is tested by properties of its own; here the same is asked of what acts on it: the real driver with
real media, real Postgres and real HTTP. What happens is drawn from a seed, and time is the clock's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from greenline.channels.whatsapp.calls.figures import ENDED
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.call_residue import assert_no_more, residue
from support.call_scenarios import SCENARIOS, STOPS, Scenario
from support.calling import CallChannel, another_process, calling_channel
from support.scripted import Answer
from support.troubled_calls import TroubledCall
from support.wait import PATIENCE_SECONDS

ABREAST = 6
STOP_EVERY = 40
"""In a long run a process is stopped after so many calls."""


class Troubles:
    """Lets scenarios happen, some at a time, in one process after another on the same database."""

    def __init__(self, channel: CallChannel, dsn: str, seed: int) -> None:
        self.channel = channel
        self.ended = 0
        self._dsn = dsn
        self._seed = seed
        self._numbers = count(1)
        self._calls: dict[str, TroubledCall] = {}
        """Those that happen now, by the person called or Meta's id of a call of a person."""
        self._process = contextlib.AsyncExitStack()
        channel.meta.refuse_action = self._meta

    async def happen_abreast(self, scenarios: Sequence[Scenario]) -> None:
        """Let them happen, `ABREAST` at a time."""
        for first in range(0, len(scenarios), ABREAST):
            await self.happen(scenarios[first : first + ABREAST])

    async def happen(self, scenarios: Sequence[Scenario], *, stop: bool = False) -> None:
        """Let them happen, then what stops the process, and then time pass until all is over."""
        calls = [self._call(scenario) for scenario in scenarios]
        await asyncio.gather(*(call.live() for call in calls))
        stopping = asyncio.create_task(self.channel.calls.stop(30.0)) if stop else None
        decided_at = self.channel.clock.now()
        for call in sorted(calls, key=lambda one: one.within):
            await self._ends(call, decided_at + timedelta(seconds=call.within))
        if stopping is not None:
            await stopping
            await self._begin_anew()
        await self._meta_knows()
        outcomes = [await call.check(decided_at) for call in calls]
        for call in calls:
            await call.say_again()
        await self.channel.quiet()
        assert [await call.check(decided_at) for call in calls] == outcomes, "an end is final"
        for call in calls:
            await call.close()
        self.ended += len(calls)
        self._calls.clear()  # Meta is asked nothing more of them

    def _call(self, scenario: Scenario) -> TroubledCall:
        number = next(self._numbers)
        call = TroubledCall(self.channel, number, scenario, random.Random(f"{self._seed} {number}"))
        self._calls[call.wacid or f"+{call.person}"] = call
        return call

    def _meta(self, body: dict[str, Any]) -> Answer | None:
        whom = body.get("call_id") or body["to"]
        return self._calls[self.channel.meta.made.get(whom, whom)].answer(body)

    async def _ends(self, call: TroubledCall, limit: datetime) -> None:
        """Let time pass until ``call`` has ended, but not beyond ``limit``."""
        clock = self.channel.clock
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await call.ended():
                    await self.channel.settled()
                    due = min(clock.next_due or limit, limit)
                    clock.advance(max(due - clock.now(), timedelta(0)))
        except TimeoutError:
            pytest.fail(f"{call.scenario}: alive {call.within} s after what ends it. {await call.row()}")

    async def _meta_knows(self) -> None:
        """Let time pass until Meta has taken every end that it is owed."""
        owed = "select 1 from whatsapp_call where hang_up is not null"
        await self.channel.quiet()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.channel.pool.fetchval(owed):
                self.channel.clock.advance(timedelta(seconds=0.2))
                await self.channel.quiet()

    async def _begin_anew(self) -> None:
        await self._process.aclose()
        agents = self.channel.agents
        self.channel.calls = await self._process.enter_async_context(
            another_process(self.channel, self._dsn, agents=agents)
        )

    async def aclose(self) -> None:
        """Stop the last process."""
        await self._process.aclose()


@pytest.fixture
async def troubles(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> AsyncIterator[Callable[[int], Troubles]]:
    """Troubles by their seed."""
    settings = settings.model_copy(update={"call_drain_seconds": 0.0, "call_permission_text": None})
    made: list[Troubles] = []
    async with calling_channel(pool, dsn, clock, settings) as channel:

        def make(seed: int) -> Troubles:
            made.append(Troubles(channel, dsn, seed))
            return made[-1]

        yield make
        for one in made:
            await one.aclose()


def counted() -> float:
    """How many calls have ended in this process of tests, by the server's own figure."""
    return sum(
        sample.value for metric in ENDED.collect() for sample in metric.samples if sample.name.endswith("_total")
    )


async def test_every_trouble_ends_its_call_once_and_in_time(troubles: Callable[[int], Troubles]) -> None:
    seed = 20261129
    run, chance, ended = troubles(seed), random.Random(seed), counted()
    before = await after_the_first(run)
    await run.happen_abreast(chance.sample(SCENARIOS, len(SCENARIOS)))
    assert_no_more(await residue(run.channel), before, run.channel)
    assert counted() - ended == run.ended > len(SCENARIOS)


async def after_the_first(run: Troubles) -> dict[str, Any]:
    """What a process holds that has taken calls and sent a message: its sender keeps the number for a while."""
    await run.happen(STOPS, stop=True)
    await run.happen([scenario for scenario in SCENARIOS if scenario.fate == "asked_declined"])
    return await residue(run.channel)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1])
async def test_a_thousand_calls_in_trouble(troubles: Callable[[int], Troubles], seed: int) -> None:
    run, chance, ended = troubles(seed), random.Random(seed), counted()
    before = await after_the_first(run)
    while run.ended < 1000:
        await run.happen_abreast(chance.choices(SCENARIOS, k=STOP_EVERY))
        await run.happen(chance.choices(STOPS, k=ABREAST), stop=True)
    assert_no_more(await residue(run.channel), before, run.channel)
    assert counted() - ended == run.ended
