"""The loop that claims mailboxes, runs a handler for each, and keeps their leases."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from greenline.clock import Clock
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.outage import DATABASE_ERRORS, OUTAGE, passes, patiently
from greenline.store.precedence import Delay, Share
from greenline.store.wakeups import POLL_SECONDS, Wakeups

log = structlog.get_logger(__name__)

MANY = 8
"""Mailboxes in a worker's hands above which it is under load."""
GATHER_SECONDS = 0.005
"""Under load claims are taken in small pauses: waking for each turn made hundreds of one-row claims a second."""
CLAIMS_PER_LOOK = 20
"""What is claimed together begins together: so many turns take the event loop for 40 ms, and all else waits."""
ARRIVALS_SECONDS = 0.1
"""How often running work is told of new arrivals: well below the time in which a person types a second message."""
MAX_BACKOFF_SECONDS = 300.0
MAX_DOUBLINGS = 9
"""With them the wait is above `MAX_BACKOFF_SECONDS`; what is tried for days would have too many for a float."""
PATIENCE_OF_LEASE = 0.6
"""Of a lease, for how long work may wait for the database: it is renewed every third of it, two thirds are left."""
HOLD_SECONDS = 5.0
"""It takes a millisecond: one that takes so long went to a server that does not answer any more."""
STEADY = timedelta(seconds=3)
"""Between two looks for work are `POLL_SECONDS` and a query: after longer the process was frozen, or cut off."""

Handler = Callable[[Claim], Awaitable[None]]
GiveUp = Callable[[Claim, BaseException], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lease:
    """For whom mailboxes are claimed, for how many ``seconds``, and at most how many."""

    owner: str
    seconds: float
    limit: int


class Worker:
    """Runs ``handler`` for every claimed mailbox of one kind, at most ``room`` at once.

    The handler commits its work and gives the mailbox back itself. When it raises, the mailbox waits for
    2 ** (attempt - 1) seconds and is tried again; after ``max_attempts`` ``give_up`` records the failure instead, and
    gives the mailbox back. When that raises too, both are tried again after such a wait.

    ``patience`` tells how many seconds a mailbox must have been due before it is claimed: 0 where this process has
    room for its work, else what it leaves to others.

    ``after`` is the delay of what goes first: as long as that is late, little is begun here.

    ``steady_since`` is since when it has looked for work without a break: nothing that needs the database worked in
    this process before, or in a break.
    """

    def __init__(
        self,
        mailboxes: Mailboxes,
        wakeups: Wakeups,
        clock: Clock,
        *,
        kind: str,
        owner: str,
        handler: Handler,
        give_up: GiveUp,
        room: int = 200,
        max_attempts: int = 5,
        patience: Callable[[], float] = lambda: 0.0,
        after: Delay | None = None,
    ) -> None:
        self._mailboxes = mailboxes
        self._clock = clock
        self._kind = kind
        self._owner = owner
        self._handler = handler
        self._give_up = give_up
        self._room = room
        self._max_attempts = max_attempts
        self._patience = patience
        self._after = after or Delay()
        self._share = Share(CLAIMS_PER_LOOK)
        self._wake = wakeups.event(kind)
        wakeups.held_by(kind, self._tell)
        self._live: dict[str, tuple[Claim, asyncio.Task[Any]]] = {}
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.steady_since = self._looked_at = clock.now()

    @property
    def running(self) -> bool:
        """Whether its loops are alive, for `/readyz`."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def hold(self, mailbox_id: str, workspace_id: str, *, patience: float = 0.0) -> Claim:
        """A new mailbox in this worker's hands: its lease is kept until `let_go`, and arrivals are told.

        The task that calls is cancelled when the lease is lost, unless `attach` names another. It is tried again for
        ``patience`` seconds while the database is away. Raises `LeaseLost` for a mailbox that is there already.
        """
        holder = f"{self._owner}:{secrets.token_hex(8)}"

        async def attempt() -> Claim:
            async with asyncio.timeout(HOLD_SECONDS):
                return await self._mailboxes.hold(holder, self._kind, mailbox_id, workspace_id, self._clock.now())

        claim = await patiently(attempt, patience)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self.attach(claim, task)
        return claim

    def attach(self, claim: Claim, task: asyncio.Task[Any]) -> None:
        """Name the task that works on a mailbox of `hold`: it is waited for at the end, and cancelled then."""
        self._live[claim.mailbox_id] = (claim, task)

    def let_go(self, claim: Claim) -> None:
        """The work on a mailbox of `hold` is over."""
        if self._live.get(claim.mailbox_id, (None,))[0] is claim:
            del self._live[claim.mailbox_id]

    @property
    def lease(self) -> Lease:
        """What a statement that brings work may claim for this worker on its way, for `adopt`.

        Nothing while it has much to do: then claims are better taken together, beside what comes in.
        """
        idle = self._tasks and not self._stopping and len(self._live) <= MANY and not self._late()
        return Lease(self._owner, self._mailboxes.lease_seconds, self._room - len(self._live) if idle else 0)

    def adopt(self, claims: Iterable[Claim]) -> None:
        """Run the handler for mailboxes that were claimed with `lease`."""
        for claim in claims:
            self._live[claim.mailbox_id] = (claim, asyncio.create_task(self._run(claim)))

    def start(self) -> None:
        """Begin to claim work."""
        self.steady_since = self._looked_at = self._clock.now()
        loops = (self._claim_loop, self._renew_loop, self._arrivals_loop)
        self._tasks = [asyncio.create_task(self._forever(loop)) for loop in loops]

    async def stop(self, seconds: float, *, abandoned: float | None = None) -> None:
        """Claim nothing more, let what runs finish for ``seconds``, then cancel it; its leases run out.

        ``abandoned``: what nobody has claimed for so many seconds is claimed all the same while something runs, with
        ``closing`` set from the beginning. For work that had better be refused than wait for the next process.
        """
        self._stopping = True
        self._wake.set()
        for claim, _ in self._live.values():
            self._close(claim)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._live and (left := deadline - loop.time()) > 0:
            running = [task for _, task in self._live.values()]
            await asyncio.wait(running, timeout=left if abandoned is None else min(left, POLL_SECONDS))
            if abandoned is not None:
                await self._claim_abandoned(abandoned)
        for task in [*(task for _, task in self._live.values()), *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, *(task for _, task in self._live.values()), return_exceptions=True)
        self._tasks = []

    @staticmethod
    def _close(claim: Claim) -> None:
        claim.closing = True
        claim.arrived.set()

    async def _claim_abandoned(self, seconds: float) -> None:
        before = self._clock.now() - timedelta(seconds=seconds)
        try:
            claims = await self._claim(before, self._room - len(self._live))
        except DATABASE_ERRORS as error:
            log.warning("worker.abandoned_unknown", kind=self._kind, error=str(error))
            return
        for claim in claims:
            self._close(claim)
        self.adopt(claims)

    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        part = f"{self._kind}{loop.__name__}"
        while not self._stopping or loop != self._claim_loop:
            try:
                await loop()
            except Exception as error:  # the boundary of the worker: recorded and tried again
                if passes(error):
                    OUTAGE.met(error, part)
                else:
                    log.exception("worker.fault", kind=self._kind)
                await asyncio.sleep(POLL_SECONDS)
            else:
                OUTAGE.over(part)

    async def _claim_loop(self) -> None:
        self._wake.clear()
        late = self._late()
        self._share.adapt(late=late)
        free = min(self._room - len(self._live), self._share.size)
        due = self._clock.now() - timedelta(seconds=self._patience())
        claims = await self._claim(due, free) if free > 0 else []
        self._note_look(self._clock.now())
        self.adopt(claims)
        if late or len(self._live) > MANY:
            await asyncio.sleep(GATHER_SECONDS)
        if len(claims) < max(free, 1):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def _claim(self, due: datetime, most: int) -> list[Claim]:
        return await self._mailboxes.claim(self._owner, self._kind, due, most, held=self._live)

    def _late(self) -> bool:
        return self._after.late(asyncio.get_running_loop().time())

    def _note_look(self, now: datetime) -> None:
        if now - self._looked_at > STEADY:
            self.steady_since = now
        self._looked_at = now

    def _tell(self, mailbox_id: str) -> bool:
        if mailbox_id not in self._live:
            return False
        self._live[mailbox_id][0].arrived.set()
        return True

    async def _run(self, claim: Claim) -> None:
        with structlog.contextvars.bound_contextvars(mailbox=claim.mailbox_id):
            try:
                await self._handler(claim)
            except LeaseLost:
                log.warning("worker.lease_lost")
            except Exception as error:  # noqa: BLE001 - the boundary of one turn: recorded and tried again
                await self._failed(claim, error)
            finally:
                self.let_go(claim)
                if claim.arrived.is_set() or len(self._live) == self._room - 1:
                    self._wake.set()

    async def _failed(self, claim: Claim, error: Exception) -> None:
        if passes(error):
            self._interrupted(claim, error)
        else:
            log.error("worker.failed", kind=self._kind, attempt=claim.attempt, exc_info=error)
        if claim.attempt >= self._max_attempts and await self._given_up(claim, error):
            return
        doublings = min(claim.attempt - 1, MAX_DOUBLINGS)
        backoff = min(MAX_BACKOFF_SECONDS, 2.0**doublings)
        try:
            await self._mailboxes.postpone(claim, self._clock.now() + timedelta(seconds=backoff))
        except DATABASE_ERRORS as away:  # the lease runs out by itself
            log.warning("worker.not_postponed", kind=self._kind, error=str(away))

    async def _given_up(self, claim: Claim, error: Exception) -> bool:
        """Whether the failure needs nothing more from this worker."""
        try:
            await self._give_up(claim, error)
        except LeaseLost:
            log.warning("worker.lease_lost")
        except Exception as fault:  # the boundary of the last word on a turn: recorded and tried again
            if passes(fault):
                self._interrupted(claim, fault)
            else:
                log.exception("worker.not_given_up", kind=self._kind)
            return False
        return True

    def _interrupted(self, claim: Claim, error: Exception) -> None:
        about = {"kind": self._kind, "attempt": claim.attempt}
        log.warning("worker.interrupted", **about, error=f"{type(error).__name__}: {error}")

    async def _renew_loop(self) -> None:
        await self._renew()  # again at once after a fault: what is left of the leases is short
        await asyncio.sleep(self._mailboxes.lease_seconds / 3)

    async def _renew(self) -> None:
        mine = dict(self._live)
        if not mine:
            return
        kept = await self._mailboxes.renew(claim for claim, _ in mine.values())
        for mailbox_id, (claim, _) in mine.items():
            current, task = self._live.get(mailbox_id, (None, None))  # another task may have been attached meanwhile
            if mailbox_id not in kept and task is not None and current is claim and not claim.returning:
                log.warning("worker.lease_lost", mailbox=mailbox_id)
                claim.lost = True
                task.cancel()

    async def _arrivals_loop(self) -> None:
        await asyncio.sleep(ARRIVALS_SECONDS)
        mine = {mailbox_id: claim for mailbox_id, (claim, _) in self._live.items() if not claim.arrived.is_set()}
        if not mine:
            return
        for mailbox_id, arrivals in (await self._mailboxes.arrivals(mine)).items():
            if arrivals > mine[mailbox_id].arrivals:
                mine[mailbox_id].arrived.set()
