"""A call in this process's hands: asks the state machine what to do, and does it.

Everything that happens to the call, from Meta, the media, the agent and the clock, goes through one queue and one
step at a time. Each step is written down before it is acted on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from greenline.channels.orders import ITEM as ORDER
from greenline.channels.orders import load_order
from greenline.channels.whatsapp.calls.agent import CallAgents
from greenline.channels.whatsapp.calls.events import (
    Action,
    Closing,
    Command,
    Connect,
    Declined,
    Done,
    Finish,
    Happening,
    HungUp,
    Post,
    Prepare,
    Refused,
    Speak,
    Start,
    Stop,
    Terminated,
    Timer,
    TimeUp,
)
from greenline.channels.whatsapp.calls.machine import Call, Phase, step
from greenline.channels.whatsapp.calls.store import CallRow, CallStore, Line
from greenline.channels.whatsapp.calls.talk import CallTalk
from greenline.channels.whatsapp.calls.texts import CALL_TEXT
from greenline.channels.whatsapp.calls.webhooks import read_news, read_reply
from greenline.channels.whatsapp.graph_calls import GraphCalls
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_errors import Outcome as GraphOutcome
from greenline.channels.whatsapp.graph_token import Token
from greenline.channels.whatsapp.inbound import read_message
from greenline.clock import Clock
from greenline.conversations.lifecycle import ENDED_BY_OPERATOR
from greenline.settings import Settings
from greenline.store.mailbox import Claim, Item, Mailboxes
from greenline.store.outage import DATABASE_ERRORS, OUTAGE, passes, patiently
from greenline.store.wakeups import POLL_SECONDS
from greenline.store.worker import PATIENCE_OF_LEASE

log = structlog.get_logger(__name__)

MEDIA_SECONDS: Final = 10.0
"""A connection that works is up within 100 ms on a good way and 2 s on a bad one; a ringing phone waits 30 s."""
GOODBYE_SECONDS: Final = 1.0
"""Meta's word follows a hang-up within a second."""
HANG_UP_SECONDS: Final = 1.0
"""Together with the time before: every call ends within 2 s. What Meta has not taken then is said again later."""
REDIAL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class CallParts:
    """What every call of a process uses."""

    store: CallStore
    mailboxes: Mailboxes
    graph: GraphCalls
    agents: CallAgents
    clock: Clock
    settings: Settings


class CallRun:
    """One call from its first event to its end."""

    def __init__(self, parts: CallParts, claim: Claim, row: CallRow, line: Line, token: Token) -> None:
        self.row = row
        self._parts = parts
        self._claim = claim
        self._line = line
        self._token = token
        self._call: Call = row.call
        self._events: asyncio.Queue[Happening | BaseException] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[Timer, asyncio.Task[None]] = {}
        self._talk = CallTalk(row.id, self._events.put_nowait)
        self._patience = parts.mailboxes.lease_seconds * PATIENCE_OF_LEASE
        self._seen: set[int] = set()
        self._dealt: list[int] = []

    async def run(
        self, first: Iterable[Happening], *, call: Call | None = None, commands: Iterable[Command] = ()
    ) -> CallRow:
        """Live through the call, beginning with ``first``; returns its row.

        The call has ended then, or goes on with another claim: the person must be asked for permission, or the next
        process calls. ``call`` and ``commands`` are those of a step that was made before. Raises `LeaseLost`.
        """
        self._call = call or self._call
        self._take(self._claim.items)
        for event in first:
            self._events.put_nowait(event)
        self._spawn(self._listen())
        for command in commands:
            self._do(command)
        try:
            while self._call.phase not in (Phase.ENDED, Phase.ASKING, Phase.CHECKING):
                happening = await self._events.get()
                if isinstance(happening, BaseException):
                    raise happening
                await self._step(happening)
        finally:
            await self._clean_up()
        # What was read after the last step is nowhere yet: as if it came now, the mailbox is due at once for it.
        self._claim.arrivals -= len(self._dealt)
        return self.row

    async def _step(self, event: Happening) -> None:
        before = self._call.phase
        if self._talk.met_voicemail:
            self._call = replace(self._call, voicemail=True)
        self._call, commands = step(self._call, event)
        if self._call.phase is not before:
            log.info("call.phase", call_id=self.row.id, phase=self._call.phase.value, after=type(event).__name__)
        if self._call.phase in (Phase.LEAVING, Phase.ENDED):
            self._talk.hush(self._call.outcome.reason if self._call.outcome is not None else "")
        if self._call.phase is Phase.ENDED:
            await self._talk.farewell()  # before the row says that the call is over
        await self._save()
        for command in commands:
            self._do(command)

    async def _save(self) -> None:
        now = self._parts.clock.now()
        row = self.row.after(self._call, now)
        if row.ended_at is not None and (statistics := self._talk.statistics) is not None:
            row = replace(row, statistics=statistics)
        done, self._dealt = self._dealt, []
        if row != self.row or done:
            await patiently(lambda: self._parts.store.save(self._claim, row, done, now), self._patience)
            self.row = row

    # What comes in

    async def _listen(self) -> None:
        """Put in the queue what Meta says, and the end of this process."""
        claim = self._claim
        while True:
            await claim.arrived.wait()
            if claim.closing:
                self._begin_closing()
            try:
                await self._parts.mailboxes.look_again(claim)
            except DATABASE_ERRORS as error:
                if not passes(error):
                    raise
                OUTAGE.tell(error, "call")
                await asyncio.sleep(POLL_SECONDS)
                claim.arrived.set()
                continue
            self._take(claim.items)

    def _begin_closing(self) -> None:
        if Timer.DRAIN not in self._timers:
            talking = self._call.phase is Phase.ACTIVE
            self._start_timer(Timer.DRAIN, self._parts.settings.call_drain_seconds if talking else 0.0)

    def _take(self, items: Iterable[Item]) -> None:
        happenings: list[Happening] = []
        for item in items:
            if item.id in self._seen or (item.kind == CALL_TEXT and not self._hear_text(item)):
                continue
            self._seen.add(item.id)
            self._dealt.append(item.id)
            if item.kind != CALL_TEXT:
                happenings.extend(self._read(item))
        # Meta may tell of beginning and end at once: then the end counts. A rejection says more of it than its end.
        order = {Done: 0, Declined: 1, Terminated: 2}
        for happening in sorted(happenings, key=lambda one: order.get(type(one), 3)):
            self._events.put_nowait(happening)

    def _read(self, item: Item) -> Iterable[Happening]:
        if item.kind == "call_permission":
            reply = read_reply(item.payload)
            return () if reply is None else (reply,)
        if item.kind == ORDER:  # there is none but to end it: others go to the conversation
            return (HungUp(load_order(item.payload).text or ENDED_BY_OPERATOR),)
        news = read_news(item.payload, self._line.phone_number)
        if news.talk_seconds is not None:
            self.row = replace(self.row, talk_seconds=news.talk_seconds)
        # Meta's answer to `connect` may be late or lost: what it says of the call is one as well.
        made = [Done("connect", news.call_id)] if self._call.wacid is None and news.callback == self.row.id else []
        return made if news.happening is None else (*made, news.happening)

    def _hear_text(self, item: Item) -> bool:
        """Pass on what the person wrote in the chat, if somebody listens; else it is answered there."""
        if not self._talk.listens:
            return False
        message = read_message(item.payload)
        return self._talk.typed(message.text, message.wamid)

    # What is to be done

    def _do(self, command: Command) -> None:
        match command:
            case Prepare(offer=offer):
                self._spawn(self._prepare(offer))
            case Post(action=action, sdp=sdp):
                self._spawn(self._post(action, sdp))
            case Connect(answer=answer):
                self._spawn(self._talk.connect(answer))
            case Speak():
                # What was typed before the conversation listens is looked at again then.
                self._talk.speak(self._claim.arrived.set)
                self._spawn(self._talk.wait_for_goodbye())
            case Start(timer=timer):
                self._start_timer(timer, self._seconds(timer))
            case Stop(timer=timer):
                self._stop_timer(timer)
            case Finish():
                log.info("call.ended", call_id=self.row.id, result=self.row.result, reason=self.row.reason)

    async def _prepare(self, offer: str | None) -> None:
        agents = self._parts.agents
        conversation_id = await self._talk.prepare(
            offer, lambda out: patiently(lambda: agents.prepare(self.row, self._line, out), self._patience)
        )
        if conversation_id is not None:
            self.row = replace(self.row, conversation_id=conversation_id)

    async def _post(self, action: Action, sdp: str | None) -> None:
        graph, line, call = self._parts.graph, self._line, self._call
        try:
            if action == "connect":
                wacid = await graph.connect(
                    line.phone_number_id,
                    self._token,
                    wa_id=line.wa_id,
                    bsuid=line.bsuid,
                    sdp=sdp or "",
                    callback=self.row.id,
                )
                self._events.put_nowait(Done(action, wacid))
            else:
                await graph.act(line.phone_number_id, self._token, action, call.wacid or "", sdp)
                self._events.put_nowait(Done(action))
        except GraphError as error:
            log.warning("call.refused", call_id=self.row.id, action=action, code=error.code, error=str(error))
            unknown = error.outcome is GraphOutcome.UNKNOWN
            passing = error.outcome is GraphOutcome.REFUSED or error.token_dead  # another token may be there by then
            self._events.put_nowait(Refused(action, reason_of(error), error.code, unknown, passing))

    # Timers

    def _seconds(self, timer: Timer) -> float:
        return {
            Timer.MEDIA: MEDIA_SECONDS,
            Timer.GOODBYE: GOODBYE_SECONDS,
            Timer.HANG_UP: HANG_UP_SECONDS,
            Timer.REDIAL: REDIAL_SECONDS,
            Timer.RING: self._parts.settings.call_ring_seconds,
        }[timer]

    def _start_timer(self, timer: Timer, seconds: float) -> None:
        self._stop_timer(timer)
        self._timers[timer] = self._spawn(self._run_timer(timer, seconds))

    def _stop_timer(self, timer: Timer) -> None:
        if (task := self._timers.pop(timer, None)) is not None:
            task.cancel()

    async def _run_timer(self, timer: Timer, seconds: float) -> None:
        await self._parts.clock.sleep(seconds)
        self._events.put_nowait(Closing() if timer is Timer.DRAIN else TimeUp(timer))

    # The end

    async def _clean_up(self) -> None:
        """Leave nothing behind, whatever happened."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._talk.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._landed)
        return task

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.put_nowait(error)


def reason_of(error: GraphError) -> str:
    """What Meta said, and what to do about it where that is known."""
    return f"{error} ({error.advice})" if error.advice else str(error)
