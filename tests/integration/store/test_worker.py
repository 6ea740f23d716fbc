"""What a worker does with a mailbox whose handler fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from asyncpg import DiskFullError
from structlog.testing import capture_logs

from greenline.clock import ManualClock
from greenline.store import wakeups as wakeups_module
from greenline.store import worker as worker_module
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes, ring
from greenline.store.outage import Outage
from greenline.store.pool import Pool, open_pool
from greenline.store.wakeups import Wakeups
from greenline.store.worker import MAX_BACKOFF_SECONDS, GiveUp, Handler, Worker
from support.flaky_database import flaky_database
from support.rows import WORKSPACE, insert_workspace
from support.wait import PATIENCE_SECONDS, eventually, until

REFUSAL = """
create function refuse() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
create trigger refuse before update on mailbox for each row when (new.owner is null) execute function refuse();
"""


async def fails(claim: Claim) -> None:
    raise ValueError("the handler")


@pytest.fixture
def mailboxes(pool: Pool) -> Mailboxes:
    return Mailboxes(pool, lease_seconds=600)  # no lease runs out while a test lasts


@asynccontextmanager
async def working(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock, give_up: GiveUp, handler: Handler = fails
) -> AsyncIterator[None]:
    """A worker with one mailbox, whose handler fails and has one attempt."""
    await insert_workspace(mailboxes.pool, clock.now())
    await ring(mailboxes.pool, mailbox_id="chat:1", workspace_id=WORKSPACE, kind="chat", due_at=clock.now())
    worker = Worker(
        mailboxes,
        Wakeups(dsn),  # not listening: the worker looks by itself
        clock,
        kind="chat",
        owner="me",
        handler=handler,
        give_up=give_up,
        max_attempts=1,
    )
    worker.start()
    try:
        yield
        assert worker.running
    finally:
        await worker.stop(5)


async def test_what_works_for_ever_says_once_that_the_database_is_away_and_once_that_it_is_back(
    dsn: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its loops tries twice a second: an operator had five lines a second to read."""
    outage = Outage()
    for module in (worker_module, wakeups_module):
        monkeypatch.setattr(module, "OUTAGE", outage)

    async def nothing(*_: object) -> None: ...

    async with flaky_database(dsn) as flaky:
        pool = await open_pool(flaky.dsn, size=4)
        wakeups = Wakeups(flaky.dsn)
        worker = Worker(
            Mailboxes(pool, lease_seconds=600),
            wakeups,
            clock,
            kind="chat",
            owner="me",
            handler=nothing,
            give_up=nothing,
        )
        with capture_logs() as logs:
            await wakeups.start()
            worker.start()
            await eventually(lambda: flaky.pumps)
            flaky.cut()
            await eventually(lambda: outage.waiting == {"wakeups", "chat_claim_loop"} and flaky.refused > 5)
            flaky.mend()
            await eventually(lambda: logs[-1]["event"] == "database.back")
        await worker.stop(5)
        await wakeups.aclose()
        pool.terminate()
    assert [line["event"] for line in logs if line["event"] != "wakeups.lost"] == ["database.away", "database.back"]


async def due_again(pool: Pool, attempt: int) -> datetime:
    """When a mailbox that was given back after so many attempts is due."""
    statement = "select due_at from mailbox where owner is null and attempt = $1"
    due: datetime = await until(lambda: pool.fetchval(statement, attempt))
    return due


async def test_a_failure_that_could_not_be_recorded_is_tried_again_with_the_work(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock
) -> None:
    """Not at the end of each lease: what fails for good would cost a turn every few seconds."""
    told: list[BaseException] = []

    async def give_up(claim: Claim, error: BaseException) -> None:
        told.append(error)
        if len(told) < 3:
            raise KeyError("give_up")
        await mailboxes.release(claim, clock.now())

    with capture_logs() as logs:
        async with working(mailboxes, dsn, clock, give_up):
            assert await due_again(mailboxes.pool, 1) == clock.now() + timedelta(seconds=1)
            clock.advance(timedelta(seconds=1))
            assert await due_again(mailboxes.pool, 2) == clock.now() + timedelta(seconds=2)
            clock.advance(timedelta(seconds=2))
            await until(lambda: mailboxes.pool.fetchval("select attempt = 0 from mailbox"))
    assert [str(error) for error in told] == ["the handler"] * 3
    assert [entry["event"] for entry in logs] == [*["worker.failed", "worker.not_given_up"] * 2, "worker.failed"]


async def test_work_under_which_the_database_goes_away_is_no_fault_to_report(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock
) -> None:
    async def gone(claim: Claim) -> None:
        raise ConnectionResetError("gone")

    async def give_up(claim: Claim, error: BaseException) -> None:
        await mailboxes.release(claim, clock.now())

    with capture_logs() as logs:
        async with working(mailboxes, dsn, clock, give_up, gone):
            await eventually(lambda: logs)
    [line] = logs
    assert (line["event"], line["kind"], line["error"]) == (
        "worker.interrupted",
        "chat",
        "ConnectionResetError: gone",
    )
    assert "exc_info" not in line


async def test_work_that_can_not_be_given_up_for_a_full_disk_is_no_fault_to_report(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock
) -> None:
    async def give_up(claim: Claim, error: BaseException) -> None:
        raise DiskFullError("could not extend file")

    with capture_logs() as logs:
        async with working(mailboxes, dsn, clock, give_up):
            await due_again(mailboxes.pool, 1)
    assert [entry["event"] for entry in logs] == ["worker.failed", "worker.interrupted"]
    assert logs[1]["error"] == "DiskFullError: could not extend file"
    assert "exc_info" not in logs[1]


async def test_what_fails_for_days_waits_no_longer(mailboxes: Mailboxes, dsn: str, clock: ManualClock) -> None:
    async def give_up(claim: Claim, error: BaseException) -> None:
        raise error

    async with working(mailboxes, dsn, clock, give_up):
        await due_again(mailboxes.pool, 1)
        await mailboxes.pool.execute("update mailbox set attempt = 1999, due_at = $1", clock.now())
        assert await due_again(mailboxes.pool, 2000) == clock.now() + timedelta(seconds=MAX_BACKOFF_SECONDS)


async def test_whoever_has_taken_the_mailbox_over_records_the_failure(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock
) -> None:
    async def give_up(claim: Claim, error: BaseException) -> None:
        await mailboxes.pool.execute("update mailbox set owner = 'other', epoch = epoch + 1")
        raise LeaseLost(claim.mailbox_id)

    with capture_logs() as logs:
        async with working(mailboxes, dsn, clock, give_up):
            await eventually(lambda: len(logs) == 2)
    assert [entry["event"] for entry in logs] == ["worker.failed", "worker.lease_lost"]
    assert await mailboxes.pool.fetchval("select owner from mailbox") == "other"


async def test_a_mailbox_that_cannot_be_given_back_is_left_to_its_lease(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock
) -> None:
    async def give_up(claim: Claim, error: BaseException) -> None:
        raise error

    await mailboxes.pool.execute(REFUSAL)
    with capture_logs() as logs:
        async with working(mailboxes, dsn, clock, give_up):
            await eventually(lambda: len(logs) == 3)
    assert [entry["event"] for entry in logs] == ["worker.failed", "worker.not_given_up", "worker.not_postponed"]
    assert await mailboxes.pool.fetchval("select owner from mailbox") == "me"


async def test_who_stood_still_for_longer_than_a_lease_goes_on_with_what_nobody_has_taken(
    mailboxes: Mailboxes, dsn: str, clock: ManualClock
) -> None:
    """Its own look for work must not come before the renewal: a call would be ended by the process that holds it."""
    taken, over = list[str](), asyncio.Event()

    async def work(claim: Claim) -> None:
        taken.append(claim.mailbox_id)
        await over.wait()
        await mailboxes.release(claim, clock.now())

    async def never(claim: Claim, error: BaseException) -> None:
        raise error

    await insert_workspace(mailboxes.pool, clock.now())
    wakeups = Wakeups(dsn)
    worker = Worker(mailboxes, wakeups, clock, kind="chat", owner="me", handler=work, give_up=never)
    worker.start()
    await ring(mailboxes.pool, mailbox_id="chat:1", workspace_id=WORKSPACE, kind="chat", due_at=clock.now())
    await eventually(lambda: taken)
    await mailboxes.pool.execute("update mailbox set lease_until = 'epoch'")
    await ring(mailboxes.pool, mailbox_id="chat:2", workspace_id=WORKSPACE, kind="chat", due_at=clock.now())
    await eventually(lambda: "chat:2" in taken)
    over.set()
    await until(lambda: mailboxes.pool.fetchval("select bool_and(owner is null) from mailbox"))
    await worker.stop(5)
    assert taken == ["chat:1", "chat:2"]


async def test_a_lost_lease_cancels_who_works_then_and_not_who_began(
    pool: Pool, dsn: str, clock: ManualClock
) -> None:
    """The task may be another one by the time the database has answered."""
    await insert_workspace(pool, clock.now())
    asked, answered = asyncio.Event(), asyncio.Event()

    class Slow(Mailboxes):
        async def renew(self, claims: Iterable[Claim]) -> set[str]:
            list(claims)
            asked.set()
            await answered.wait()
            return set()

    async def give_up(claim: Claim, error: BaseException) -> None:
        raise error

    worker = Worker(
        Slow(pool, lease_seconds=0.3), Wakeups(dsn), clock, kind="live", owner="me", handler=fails, give_up=give_up
    )
    claims: list[Claim] = []

    async def begin() -> None:
        claims.append(await worker.hold("live:1", WORKSPACE))
        await asyncio.Event().wait()

    worker.start()
    began, work = asyncio.create_task(begin()), asyncio.create_task(asyncio.Event().wait())
    try:
        await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
        worker.attach(claims[0], work)
        answered.set()
        await asyncio.wait({began, work}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        assert (work.cancelled(), began.done(), claims[0].lost) == (True, False, True)
    finally:
        began.cancel()
        worker.let_go(claims[0])
        await worker.stop(0)
