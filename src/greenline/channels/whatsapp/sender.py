"""Sends what the outbox holds: one sender for each number, in the order of each chat.

A message is marked before its request leaves. What became of a request that has no answer is unknown, and is
not guessed: the message waits for a status that carries its id, and is sent again only when none has come
within the grace time, if Meta's webhooks do reach us (`repeat_at`). Only what Meta refused before
processing is repeated at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.delivery import sql
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.held_number import Booking, HeldNumber
from greenline.channels.whatsapp.listening import LISTENS, listening_since
from greenline.channels.whatsapp.pacing import (
    LOST_ANSWERS,
    STATUS_SECONDS,
    Candidate,
    Pace,
    Refuse,
    Rules,
    Send,
    Verdict,
    Wait,
    judge,
    number_pace,
    repeat_at,
)
from greenline.channels.whatsapp.posting import Head, Posting, RefusedToken, Settled
from greenline.channels.whatsapp.throughput import SECOND, Inflow, Throughput, throughput_of
from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.batch import despite_conflicts
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.pool import Pool, Record
from greenline.store.vault import Vault

log = structlog.get_logger(__name__)

STAY_SECONDS: Final = 1.0
"""A sender that must wait no longer than this for a rate keeps its number; above it the mailbox's timer wakes it."""
CROWD: Final = 100
"""Numbers in a process's hands above which an idle one is soon given up: others wait for its place."""
CROWDED_LINGER_SECONDS: Final = 1.0
HEADS: Final = 100
"""Chats that a look reads at most: what a number of 1,000 messages a second sends in two looks."""
LOOK_SECONDS: Final = 0.05
"""Between two looks whether a number whose last second was full has room again."""
NO_TOKEN_SECONDS: Final = 60.0
"""How long messages wait for a number whose token is dead before it is looked at again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The limits of numbers of one throughput."""

    throughput: Throughput
    rules: Rules


def rules_of(settings: Settings, per_second: float) -> Rules:
    """The rules for numbers that send and take in ``per_second`` messages."""
    return Rules(
        number=number_pace(per_second),
        pair=Pace(timedelta(seconds=settings.pair_interval_seconds), settings.pair_burst),
        window_margin=timedelta(seconds=settings.window_margin_seconds),
        max_unknown=settings.send_max_attempts * LOST_ANSWERS,
    )


class Sender:
    """The handler of the mailboxes of kind ``sender`` (their id is ``sender:<phone_number_id>``)."""

    def __init__(
        self,
        pool: Pool,
        mailboxes: Mailboxes,
        graph: GraphClient,
        vault: Vault,
        clock: Clock,
        settings: Settings,
        refused_token: RefusedToken,
        settled: Settled,
        inflow: Inflow,
        listening_since: Callable[[], datetime],
    ) -> None:
        """``listening_since``: from when on this process could take what Meta delivers, without a break."""
        self._pool = pool
        self._mailboxes = mailboxes
        self._vault = vault
        self._clock = clock
        self._grace = timedelta(seconds=settings.unknown_outcome_grace_seconds)
        self._listening_since = listening_since
        self._linger = settings.sender_linger_seconds
        self._inflow = inflow
        self._settings = settings
        self._rates: dict[float, Rate] = {}
        self._held: dict[str, HeldNumber] = {}
        self._posting = Posting(pool, graph, clock, self._grace, refused_token, settled)

    async def handle(self, claim: Claim) -> None:
        """Send until nothing of the number can go, then give its mailbox back with a timer."""
        phone_number_id = claim.mailbox_id.removeprefix("sender:")
        now = self._clock.now()
        waiting = (now, self._grace, self._listening_since())
        await self._pool.execute(sql["orphaned"], claim.workspace_id, phone_number_id, *waiting)
        number = HeldNumber(claim, phone_number_id)
        try:
            await self._send_all(number)
        finally:
            self._held.pop(phone_number_id, None)
            if number.flights:  # cancelled: what is in the air lands, its outcome must not be lost
                await asyncio.wait(number.flights.values(), timeout=1.0)

    async def give_up(self, claim: Claim, error: BaseException) -> None:
        """A number is never given up: its messages wait a minute."""
        await self._mailboxes.postpone(claim, self._clock.now() + timedelta(seconds=NO_TOKEN_SECONDS))

    def book(self, phone_number_id: str, head: Head) -> Booking | None:
        """Let the first message of a turn leave with the turn's own commit, which spares a look and a mark.

        None where the message has to take its place in the queue: the number is
        not in this process's hands, a message of the chat is in the air, or a rate makes it wait.
        """
        number = self._held.get(phone_number_id)
        now = self._clock.now()
        if number is None or number.claim.closing or number.token is None:
            return None
        if head["chat_id"] in number.flights or not (number.clock is None or number.clock < now):
            return None
        if not self._rate(number).throughput.room(number, 1, now):
            return None
        verdict = self._judge(head, number, now)
        if not isinstance(verdict, Send):
            return None
        number.clock = verdict.number_clock
        number.used = True
        row = {"id": head["id"], "sender": number.claim.mailbox_id, "epoch": number.claim.epoch}
        clocks = {"pair_clock": verdict.pair_clock, "pair_seen": head["pair_clock"]}
        booking = Booking({**row, **clocks}, asyncio.get_running_loop().create_future())
        number.fly(head["chat_id"], self._leave(number, head, booking.leaves))
        return booking

    async def _leave(self, number: HeldNumber, head: Head, leaves: asyncio.Future[bool]) -> None:
        if await leaves:
            checkpoint("sender.marked")
            try:
                await self._posting.post(number, head)
            finally:
                number.landings.append(self._clock.now())

    async def _send_all(self, number: HeldNumber) -> None:
        claim, idle = number.claim, False
        while True:
            claim.arrived.clear()
            number.used = False
            heads = await self._heads(number)
            checkpoint("sender.looked")
            wake_at = await self._launch(number, heads)
            if claim.closing:
                wake_at = self._clock.now()
            elif number.token is None:
                wake_at = self._clock.now() + timedelta(seconds=NO_TOKEN_SECONDS)
            now = self._clock.now()
            rests_until = self._rate(number).throughput.forgettable_at(number, now)
            stays = not claim.closing and (self._soon(wake_at) or rests_until is not None)
            if not number.flights and not stays and (idle or wake_at is not None):
                self._held.pop(number.phone_number_id, None)  # nothing is booked while it is given back
                await self._mailboxes.release(claim, now, wake_at, rests_until)
                return
            if rests_until is not None and (idle or wake_at is not None):
                wake_at = min(wake_at or rests_until, rests_until)
            self._held[number.phone_number_id] = number
            if number.full:
                await asyncio.sleep(LOOK_SECONDS)  # however much arrives meanwhile, it could not leave
            idle = not (await self._wait(number, wake_at) or number.used)
            number.check()

    async def _heads(self, number: HeldNumber) -> list[Head]:
        """The first open messages of chats that have none in the air; none while nothing may be sent."""
        claim = number.claim
        number.behind.update(number.flights)
        place = (claim.mailbox_id, claim.epoch, claim.workspace_id, number.phone_number_id)
        rows = await self._pool.fetch(sql["heads"], *place, number.out_of_view(self._clock.now()), HEADS)
        if not rows:
            raise LeaseLost(claim.mailbox_id)
        claim.arrivals = rows[0]["arrivals"]
        self._read_account(number, rows[0])
        if claim.closing or number.token is None:
            return []
        return [dict(row) for row in rows if row["id"] is not None]

    def _read_account(self, number: HeldNumber, row: Record) -> None:
        setting = self._settings.throughput_per_second
        number.per_second = throughput_of(setting, row["account_type"], row["throughput_level"])
        sealed = row["token"]
        if sealed is None or row["is_token_expired"]:
            log.warning("sender.no_token", phone_number_id=number.phone_number_id)
            number.token = None
        elif number.token is None or sealed != number.token.sealed:
            number.token = open_token(self._vault, number.claim.workspace_id, number.phone_number_id, sealed)

    async def _launch(self, number: HeldNumber, heads: list[Head]) -> datetime | None:
        """Send what may go; returns when the next one may."""
        now = self._clock.now()
        room = await self._room(number, len(heads), now) if heads else 0
        going: list[tuple[Head, Send]] = []
        refused: list[tuple[Head, Refuse]] = []
        waits = list(number.resting.values())
        unsettled: dict[str, datetime] = {}
        number.full = False
        for head in heads:
            wait = await self._unsettled(number, head, now)
            if wait is not None and head["state"] == "unknown":
                unsettled[head["id"]] = wait.until
            verdict = wait or self._judge(head, number, now)
            paced = self._rate(number).rules.number.earliest(number.clock, now)
            if paced > now or (isinstance(verdict, Send) and len(going) >= room):
                waits.append(max(paced, now + timedelta(seconds=LOOK_SECONDS)))
                number.full = True
                break
            if isinstance(verdict, Send):
                number.clock = verdict.number_clock
                going.append((head, verdict))
            elif isinstance(verdict, Wait):
                waits.append(verdict.until)
                if len(heads) == HEADS:
                    number.resting[head["chat_id"]] = min(verdict.until, now + timedelta(seconds=STAY_SECONDS))
            else:
                refused.append((head, verdict))
        await self._wait_on(number, unsettled)
        await asyncio.gather(*(self._posting.refuse(head, verdict, now) for head, verdict in refused))
        await self._fly(number, going, now)
        # Behind a full look more is due, unless the last of it was not: those that are due longest come first.
        beyond = len(heads) == HEADS and not number.full and heads[-1]["due_at"] <= now
        return now if refused or beyond else min(waits, default=None)

    def _rate(self, number: HeldNumber) -> Rate:
        if number.per_second not in self._rates:
            self._rates[number.per_second] = Rate(
                Throughput(number.per_second, self._inflow), rules_of(self._settings, number.per_second)
            )
        return self._rates[number.per_second]

    async def _room(self, number: HeldNumber, more: int, now: datetime) -> int:
        room = self._rate(number).throughput.room(number, more, now)
        if room is None:
            parameters = (number.claim.workspace_id, number.phone_number_id, now - SECOND)
            self._rate(number).throughput.counted(number, await self._pool.fetchval(sql["inbound"], *parameters), now)
            room = self._rate(number).throughput.room(number, more, now)
        return room or 0

    async def _unsettled(self, number: HeldNumber, head: Head, now: datetime) -> Wait | None:
        """How long the answer of Meta, or a status, may still tell what became of an attempt."""
        if head["state"] == "sending":  # by another process, or by a commit of this one whose outcome was not heard
            until = head["attempted_at"] + self._grace
            if until <= now:
                until = now + self._grace
                await self._posting.defer(number, head, "unknown", until, weight=1)
            return Wait(until)
        if head["state"] != "unknown" or head["due_at"] > now:
            return None
        overdue = now - timedelta(seconds=STATUS_SECONDS)
        place = (number.claim.workspace_id, number.phone_number_id)
        (signs,) = await self._pool.fetch(sql["signs"], head["attempted_at"], *place, overdue, LISTENS, head["id"])
        if signs["told"]:
            return Wait(now + timedelta(seconds=STAY_SECONDS))
        listening = listening_since(signs["listening"])
        until = repeat_at(head["attempted_at"], listening, signs["heard"], signs["cut_off"], self._grace)
        return Wait(min(until, now + self._grace)) if until > now else None

    async def _wait_on(self, number: HeldNumber, unsettled: dict[str, datetime]) -> None:
        """Keep how long outcomes are waited for, so that very many of them don't hide what could leave."""
        if unsettled:
            moments = list(unsettled.values())
            await self._pool.execute(sql["wait_on"], number.claim.workspace_id, list(unsettled), moments)

    def _judge(self, head: Head, number: HeldNumber, now: datetime) -> Verdict:
        candidate = Candidate(**{column.name: head[column.name] for column in fields(Candidate)})
        return judge(candidate, self._rate(number).rules, number.clock, now)

    async def _fly(self, number: HeldNumber, going: list[tuple[Head, Send]], now: datetime) -> None:
        """Mark what goes and send it. A chat in which a message was booked since the look waits for its landing."""
        flights: dict[str, asyncio.Future[bool]] = {}
        clocks = []
        for head, send in going:
            chat_id = head["chat_id"]
            number.behind.add(chat_id)
            if chat_id not in number.flights:
                flights[head["id"]] = asyncio.get_running_loop().create_future()
                clocks.append(send.pair_clock)
                number.fly(chat_id, self._leave(number, head, flights[head["id"]]))
        marked: set[str] = set()
        try:
            if flights:
                marked = await self._mark(number.claim, list(flights), clocks, now)
        finally:
            for outbox_id, leaves in flights.items():
                if not leaves.done():
                    leaves.set_result(outbox_id in marked)

    async def _mark(self, claim: Claim, ids: list[str], clocks: list[datetime], now: datetime) -> set[str]:
        rows = await despite_conflicts(
            lambda: self._pool.fetch(sql["mark"], claim.mailbox_id, claim.epoch, ids, clocks, now)
        )
        return {row["id"] for row in rows}

    async def _wait(self, number: HeldNumber, wake_at: datetime | None) -> bool:
        """Wait for work, a landing or a timer; without any of them no longer than an idle number is kept: False."""
        timers: set[asyncio.Task[Any]] = {asyncio.create_task(number.claim.arrived.wait())}
        if wake_at is not None and not number.claim.closing:
            timers.add(asyncio.create_task(self._clock.sleep_until(wake_at)))
        patience = min(self._linger, CROWDED_LINGER_SECONDS) if len(self._held) > CROWD else self._linger
        linger = None if number.behind or wake_at is not None else patience
        try:
            done, _ = await asyncio.wait(timers, timeout=linger, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for timer in timers:
                timer.cancel()
        return bool(done)

    def _soon(self, moment: datetime | None) -> bool:
        return moment is not None and moment <= self._clock.now() + timedelta(seconds=STAY_SECONDS)
