"""A live conversation, by text or by voice: one agent, one person, one process that holds it.

What the person does comes in through methods that return at once; what happens goes out to listeners. The journal is
written as it happens. `run` lives as long as the conversation and writes its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Literal

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import voice_of
from greenline.channels.live.answering import Answering
from greenline.channels.live.conversation import FAULT, Conversation
from greenline.channels.live.ending import CUT_SHORT, TAKEN_OVER, Ending, last_events
from greenline.channels.live.figures import RUNNING, medium_of
from greenline.channels.live.fillers import Fillers
from greenline.channels.live.floor import Floor
from greenline.channels.live.journal import JournalUnwritten, LiveJournal
from greenline.channels.live.means import Means
from greenline.channels.live.models import CODE_NORMAL, Listener, SessionEnded
from greenline.channels.live.operator import Operator
from greenline.channels.live.person import Person
from greenline.channels.live.recorder import Recorder
from greenline.channels.live.timers import Timers
from greenline.conversations.events import ContextualUpdate, Event, Feedback
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.worker import Worker
from greenline.text import clean_text

log = structlog.get_logger(__name__)


class LiveSession:
    """Make it with `greenline.channels.live.sessions`."""

    def __init__(
        self,
        *,
        means: Means,
        journal: LiveJournal,
        claim: Claim,
        mailboxes: Mailboxes,
        holder: Worker,
        recorder: Recorder | None,
    ) -> None:
        if means.out is not None and recorder is not None:
            means = replace(means, out=recorder.beside(means.out))
        self._means = means
        self._claim = claim
        self._holder = holder
        self._recorder = recorder
        self._conversation = Conversation(journal)
        self._timers = Timers(means.clock, self._conversation.spawn)
        soft = means.config.turn.soft_timeout_config
        fillers = Fillers(soft, self._timers, means.models, self._conversation.spawn, self._conversation.record)
        self._answering = Answering(means, self._conversation, fillers, self._switched)
        self._floor = Floor(means, self._conversation, self._answering, fillers, self._answered)
        self._operator = Operator(self._conversation, self._floor, journal, claim, mailboxes, self._relieved)
        self._ending = Ending(means, self._conversation, self._floor, journal)
        self._person = Person(
            means, self._conversation, self._floor, self._operator, self._timers, self._ending.too_silent
        )

    # What others see

    @property
    def conversation_id(self) -> str:
        """Its id."""
        return self._conversation.id

    @property
    def config(self) -> ConversationConfig:
        """The agent's configuration with the overrides of this conversation."""
        return self._means.config

    @property
    def text_only(self) -> bool:
        """Whether there is no sound in it."""
        return self._means.agent.text_only

    @property
    def journal(self) -> tuple[Event, ...]:
        """What has happened."""
        return self._conversation.journal

    @property
    def over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._conversation.over

    @property
    def answering(self) -> bool:
        """Whether the person waits for the agent: it thinks, speaks, or waits for a tool."""
        return not self._floor.free

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on; call what is returned to stop."""
        return self._conversation.subscribe(listener)

    # What the person and their client do

    def hear(self, pcm: bytes, of_seconds: float | None = None, *, at: float | None = None) -> None:
        """Sound at `greenline.speech.models.HEARING_RATE`; ``of_seconds``: part of so long a piece.

        ``at`` is where it begins by the person's own clock, in seconds, if they tell.
        """
        if not self.over:
            self._person.hear(pcm, of_seconds)
            if self._recorder is not None:
                self._recorder.hear(pcm, at)

    def user_message(self, text: str, file_ids: Sequence[str] = (), rich_content_id: str | None = None) -> None:
        """A finished turn of the person, in writing. One without a word makes the agent answer all the same."""
        self._person.write(text, file_ids, rich_content_id)

    async def unknown_files(self, file_ids: Sequence[str]) -> tuple[str, ...]:
        """Which of these the conversation does not have, as far as that can be told."""
        return await self._means.files.unknown(file_ids)

    def digit(self, digit: str) -> None:
        """A key of the telephone; keys that follow each other closely are one turn."""
        if not self.over:
            self._person.press(digit)

    def user_activity(self) -> None:
        """The person is there: no turn timeout for now."""
        self._person.shows_activity()

    def contextual_update(self, text: str, context_id: str | None = None) -> None:
        """Background for the agent."""
        self.note(ContextualUpdate(text=clean_text(text), context_id=context_id))

    def tool_result(self, tool_call_id: str, result: str, *, is_error: bool) -> None:
        """The answer to a client tool call; one to an unknown call changes nothing."""
        self._answering.client_calls.answer(tool_call_id, clean_text(result), is_error=is_error)

    def mcp_approval(self, tool_call_id: str, *, is_approved: bool) -> None:
        """The word on a call of an MCP tool; one for a call that does not wait for it changes nothing."""
        self._answering.approvals.answer(tool_call_id, is_approved=is_approved)

    def feedback(self, event_id: int, score: Literal["like", "dislike"] | None) -> None:
        """A rating of one answer."""
        self.note(Feedback(score=score, event_id=event_id))

    def note(self, event: Event) -> None:
        """Record something that the channel knows of."""
        self._conversation.record(event)

    def end(
        self, reason: str, *, code: int = CODE_NORMAL, error_type: str | None = None, debug: str | None = None
    ) -> None:
        """End the conversation; `run` returns soon."""
        self._conversation.end(SessionEnded(code, reason, error_type, debug))

    # From beginning to end

    async def run(self) -> SessionEnded:
        """Greet, listen and answer until the end, which is written when this returns."""
        ended = FAULT
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._holder.attach(self._claim, task)
        running = RUNNING.labels(medium_of(text_only=self.text_only))
        running.inc()
        try:
            self._open()
            ended = await self._conversation.ended()
        except asyncio.CancelledError:
            if not self._claim.lost:
                ended = CUT_SHORT
                raise
            task.uncancel()
            ended = TAKEN_OVER
        finally:
            running.dec()
            try:
                await self._close(ended)
            finally:
                self._holder.let_go(self._claim)
        return ended

    def _open(self) -> None:
        conversation, floor, greeting = self._conversation, self._floor, self._means.agent.greeting
        conversation.spawn(self._operator.follow())
        conversation.spawn(self._ending.watch_journal())
        conversation.spawn(self._answering.meet_servers())
        if self._recorder is not None:
            conversation.spawn(self._recorder.run())
        self._prepare_voice()
        self._timers.set("duration", self.config.conversation.max_duration_seconds, self._ending.too_long)
        self._person.listen()
        if greeting and floor.free:
            floor.say(greeting, "first_message")
        elif floor.free:
            self._person.wait_for_person(self.config.turn.initial_wait_time)

    async def _close(self, ended: SessionEnded) -> None:
        """Each step is taken in any case: whoever cancels this ends no more than what it waits for just then."""
        self._conversation.end(ended)
        self._timers.stop_all()
        async with AsyncExitStack() as then:  # from the last step to the first
            then.push_async_callback(self._person.aclose)  # who hears them may be slow to leave: nothing waits for it
            then.callback(self._conversation.tell, ended)
            if self._recorder is not None:
                then.push_async_callback(self._recorder.close)
            then.push_async_callback(self._write_end, ended)
            await self._take_last_words()

    async def _take_last_words(self) -> None:
        try:
            await self._person.take_last_words()
        except Exception:  # the boundary of the last words: the end is written without them
            log.exception("live.last_words_lost", conversation_id=self.conversation_id)
        finally:
            await self._conversation.stop_tasks()

    async def _write_end(self, ended: SessionEnded) -> None:
        self._claim.returning = True
        try:
            await self._conversation.close(*last_events(ended, None if self.text_only else self._means.usage))
        except LeaseLost:
            log.warning("live.lease_lost", conversation_id=self.conversation_id)
        except JournalUnwritten as error:
            # Its lease runs out: whoever finds it then, this process or another, ends it as failed.
            log.error("live.end_unwritten", conversation_id=self.conversation_id, error=str(error))

    def _prepare_voice(self) -> None:
        if self._means.out is not None:
            self._conversation.spawn(self._means.speech.prepare(voice_of(self.config)))

    def _switched(self) -> None:
        """The agent goes on in another language."""
        self._person.use(self.config)
        self._prepare_voice()

    def _relieved(self) -> None:
        """A human answers instead of the agent from now on, or the agent again."""
        self._person.meets_another()

    def _answered(self, ended: str | None, pause: float | None) -> None:
        """The agent has said all; ``ended`` is why the conversation is over, ``pause`` how long it waits."""
        self._person.may_pause(pause)
        if ended is not None:
            self.end(ended)
        self._person.wait_for_person()
