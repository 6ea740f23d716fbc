"""A live conversation, by text or by voice: one agent, one person, one process that holds it.

What the person does comes in through methods that return at once; what happens goes out to listeners. The journal is
written as it happens. `run` lives as long as the conversation and writes its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import recognition_of, voice_of
from greenline.channels.choices import chosen
from greenline.channels.live.conversation import FAULT, Conversation
from greenline.channels.live.ending import CUT_SHORT, TAKEN_OVER, Ending, last_events
from greenline.channels.live.figures import RUNNING, medium_of
from greenline.channels.live.floor import Floor, Means
from greenline.channels.live.hearing import Hearing
from greenline.channels.live.journal import JournalUnwritten, LiveJournal
from greenline.channels.live.keypad import Keypad
from greenline.channels.live.listening import Listening
from greenline.channels.live.models import CODE_NORMAL, Listener, SessionEnded, UserTranscript
from greenline.channels.live.operator import Operator
from greenline.channels.live.patience import end_of_turn
from greenline.channels.live.recorder import Recorder
from greenline.channels.live.rich_content import tapped
from greenline.channels.live.silence import Silence
from greenline.channels.live.timers import Timers
from greenline.channels.live.words import Meanwhile, Words
from greenline.conversations.events import (
    ContextualUpdate,
    Event,
    Feedback,
    Medium,
    UserMessage,
    UserSilent,
)
from greenline.ids import new_id
from greenline.speech.errors import SpeechError
from greenline.speech.models import RecognitionOptions
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.worker import Worker
from greenline.text import clean_text

log = structlog.get_logger(__name__)

KEYS_REDACTED: Final = "[Keys pressed: REDACTED]"
"""In place of the keys of an agent with ``redact_input`` (reference: a redaction marker)."""
NO_WORDS: Final = "[A message without words]"
"""As the model reads one (reference: the text of a ``user_message`` may be null)."""


class LiveSession:
    """Make it with `greenline.channels.live.begin`. A `greenline.channels.live.floor.Host`."""

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
        self._journal = journal
        self._conversation = Conversation(journal)
        self._claim = claim
        self._holder = holder
        self._recorder = recorder
        self._meanwhile = Meanwhile()
        self._timers = Timers(means.clock)
        self._keypad = Keypad(self.config.conversation.dtmf_input_settings, self._timers, self._keys_pressed)
        self._floor = Floor(means, self._conversation, self._timers, self)
        self._ending = Ending(means, self._conversation, self._floor, journal)
        self._silence = Silence(
            self._timers, means.clock, speak_again=self._turn_timed_out, give_up=self._ending.too_silent
        )
        self._operator = Operator(self._conversation, self._floor, journal, claim, mailboxes)
        self._hearing = Hearing(
            self._conversation,
            self._floor,
            self,
            self._meanwhile,
            self._timers,
            self.config,
            means.clock,
            voice=self._voice,
            failure_message=means.settings.failure_message,
            always_guesses=means.settings.speculative_turns == "always",
        )
        self._listening = self._make_listening() if means.out is not None else None

    # What others see

    @property
    def conversation_id(self) -> str:
        """Its id."""
        return self._conversation.id

    @property
    def config(self) -> ConversationConfig:
        """The agent's configuration with the overrides of this conversation."""
        return self._means.agent.config

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
    def waits_for_client(self) -> bool:
        """Whether a tool waits for the client's answer."""
        return self._floor.client_calls.waiting or self._floor.approvals.waiting

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on; call what is returned to stop."""
        return self._conversation.subscribe(listener)

    def note(self, event: Event) -> None:
        """Record something that the channel knows of."""
        self._conversation.record(event)

    async def run(self) -> SessionEnded:
        """Greet, listen and answer until the end, which is written when this returns."""
        ended = FAULT
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._holder.attach(self._claim, task)
        running = RUNNING.labels(medium_of(text_only=self.text_only))
        running.inc()
        try:
            await self._open()
            ended = await self._conversation.ended()
        except LeaseLost:
            ended = TAKEN_OVER
        except asyncio.CancelledError:
            ended = CUT_SHORT
            raise
        finally:
            running.dec()
            await self._close(ended)
            self._holder.let_go(self._claim)
        return ended

    # What the person and their client do

    def hear(self, pcm: bytes, of_seconds: float | None = None) -> None:
        """Sound at `greenline.speech.models.HEARING_RATE`; ``of_seconds``: part of so long a piece."""
        if self._listening is not None and not self.over:
            self._listening.hear(pcm, of_seconds)
            if self._recorder is not None:
                self._recorder.hear(pcm)

    def user_message(self, text: str, file_ids: Sequence[str] = (), rich_content_id: str | None = None) -> None:
        """A finished turn of the person, in writing. One without a word makes the agent answer all the same."""
        text = clean_text(text).strip()
        button = tapped(self._journal.events, rich_content_id, text) if rich_content_id else None
        if button is not None:
            text = chosen(button.title, button.id)
        medium: Medium = "file" if file_ids else "text"
        row = rich_content_id if button is not None else None
        unwritten = "" if text or file_ids else NO_WORDS
        self.person_said(Words(text, medium, tuple(file_ids), unwritten, row))

    async def unknown_files(self, file_ids: Sequence[str]) -> tuple[str, ...]:
        """Which of these the conversation does not have, as far as that can be told."""
        return await self._means.files.unknown(file_ids)

    def digit(self, digit: str) -> None:
        """A key of the telephone; keys that follow each other closely are one turn."""
        self.person_is_there()
        self._keypad.press(digit)

    def user_activity(self) -> None:
        """The person is there: no turn timeout for now."""
        self.person_is_there()
        if self._floor.free:
            self._await_person()

    def contextual_update(self, text: str, context_id: str | None = None) -> None:
        """Background for the agent."""
        self._conversation.record(ContextualUpdate(text=clean_text(text), context_id=context_id))

    def tool_result(self, tool_call_id: str, result: str, *, is_error: bool) -> None:
        """The answer to a client tool call; one to an unknown call changes nothing."""
        self._floor.client_calls.answer(tool_call_id, clean_text(result), is_error=is_error)

    def mcp_approval(self, tool_call_id: str, *, is_approved: bool) -> None:
        """The word on a call of an MCP tool; one for a call that does not wait for it changes nothing."""
        self._floor.approvals.answer(tool_call_id, is_approved=is_approved)

    def feedback(self, event_id: int, score: Literal["like", "dislike"] | None) -> None:
        """A rating of one answer."""
        self._conversation.record(Feedback(score=score, event_id=event_id))

    def end(
        self, reason: str, *, code: int = CODE_NORMAL, error_type: str | None = None, debug: str | None = None
    ) -> None:
        """End the conversation; `run` returns soon."""
        self._conversation.end(SessionEnded(code, reason, error_type, debug))

    # Beginning and end

    async def _open(self) -> None:
        self._conversation.spawn(self._operator.follow())
        self._conversation.spawn(self._ending.watch_journal())
        self._conversation.spawn(self._floor.meet_servers())
        if self._recorder is not None:
            self._conversation.spawn(self._recorder.run())
        if self._means.out is not None:
            self._conversation.spawn(self._means.speech.prepare(voice_of(self.config)))
        self._timers.set("duration", self.config.conversation.max_duration_seconds, self._ending.too_long)
        if self._listening is not None:
            try:
                self._listening.begin()
            except SpeechError as error:
                self._hearing.is_deaf(error)
        if self._means.agent.greeting and self._floor.free:
            self._floor.say(self._means.agent.greeting, "first_message")
        elif self._floor.free:
            self.wait_for_person(self.config.turn.initial_wait_time)

    async def _close(self, ended: SessionEnded) -> None:
        self._conversation.end(ended)
        self._timers.stop_all()
        await self._take_last_words()
        self._floor.interrupt()
        await self._conversation.stop_tasks()
        if self._listening is not None:
            await self._listening.aclose()
        self._claim.returning = True
        try:
            await self._conversation.close(*last_events(ended, None if self.text_only else self._floor.usage))
        except LeaseLost:
            log.warning("live.lease_lost", conversation_id=self.conversation_id)
        except JournalUnwritten as error:
            # Its lease runs out: whoever finds it then, this process or another, ends it as failed.
            log.error("live.end_unwritten", conversation_id=self.conversation_id, error=str(error))
        finally:
            if self._recorder is not None:
                await self._recorder.close()
            self._conversation.tell(ended)

    async def _take_last_words(self) -> None:
        """What nobody will answer any more has its place in the transcript all the same."""
        self._floor.drop()
        if self._listening is not None:
            await self._listening.finish()
        self._floor.interrupt()
        self._keypad.finish()
        self._take_meanwhile()

    # The person (`greenline.channels.live.hearing.Talk`)

    @property
    def human(self) -> bool:
        """Whether a human answers instead of the agent."""
        return self._operator.speaks

    @property
    def recogniser(self) -> str:
        """Who hears the person; empty while nobody does."""
        return self._listening.recogniser if self._listening is not None else ""

    @property
    def pausing(self) -> bool:
        """Whether the agent leaves its turn out."""
        return self._silence.pausing

    def person_said(self, words: Words, voice: tuple[float, float] | None = None) -> None:
        """The person has finished a turn: whatever the agent is doing is over, where it may be interrupted.

        After the end it is only recorded.
        """
        if self._conversation.closed:
            return
        floor = self._floor
        if floor.speaks and (floor.shielded or not (floor.interruptible or self.text_only)):
            self._meanwhile.add(words)
            return
        self._floor.interrupt()
        self.heard(self._message(words))
        if not self.human:
            self._floor.respond(committed=True, voice=voice)

    def heard(self, said: UserMessage, event_id: int | None = None) -> None:
        """The person has said something; ``event_id`` is that of the answer, if there is one already.

        What they said before, while the agent could not be stopped, comes before it.
        """
        self._silence.end()
        before = self._meanwhile.take()
        for message in (said,) if before is None else (self._message(before), said):
            self._conversation.record(message)
            medium: Literal["audio", "text"] = "audio" if message.medium == "audio" else "text"
            self._conversation.tell(UserTranscript(event_id or self._floor.next_id, message.text, medium=medium))

    def _message(self, words: Words) -> UserMessage:
        now = self._means.clock.now()
        return UserMessage(
            id=new_id("msg"),
            text=words.text,
            medium=words.medium,
            type="interactive" if words.rich_content_id else words.medium,
            file_ids=words.file_ids,
            rich_content_id=words.rich_content_id,
            recogniser=self.recogniser if words.medium == "audio" else "",
            sent_at=now,
            received_at=now,
            unwritten=words.unwritten,
        )

    def person_is_there(self) -> None:
        """No turn timeout for now."""
        self._silence.hold()

    def wait_for_person(self, seconds: float | None = None) -> None:
        """It is the person's turn, unless they have taken it already while the agent could not be stopped.

        ``seconds`` takes the place of the agent's turn timeout.
        """
        if self._take_meanwhile():
            return
        if self._listening is not None:
            self._listening.begin_turn()
        self._await_person(seconds)

    def _await_person(self, seconds: float | None = None) -> None:
        if not (self.text_only or self.human or self.over):
            self._silence.wait(self.config.turn, seconds)

    def _turn_timed_out(self) -> None:
        self._conversation.spawn(self._speak_into_silence())

    async def _speak_into_silence(self) -> None:
        """Unless it is none: the voice of a person may have been too quiet to be detected."""
        words = await self._listening.hear_again() if self._listening is not None else ""
        busy = self._listening is not None and self._listening.busy
        if not self._floor.free or self.human or busy or self._silence.nudging:
            return
        if words:
            self.person_said(Words(words, "audio"))
            return
        self._silence.nudge()
        self._conversation.record(UserSilent(asked_for_it=self._silence.pausing))
        self._floor.respond(committed=True)

    def _keys_pressed(self, keys: str) -> None:
        settings, pressed = self.config.conversation.dtmf_input_settings, f"[Keys pressed: {keys}]"
        if settings is not None and settings.redact_input:
            self.person_said(Words(KEYS_REDACTED, "dtmf", unwritten=pressed))
        else:
            self.person_said(Words(pressed, "dtmf"))

    # Listening

    def _make_listening(self) -> Listening:
        means, turn = self._means, self.config.turn
        return Listening(
            means.speech,
            self._expected(),
            end_of_turn(turn, means.settings),
            self._hearing,
            means.clock,
            means.now,
            begin=means.settings.barge_in_seconds,
            seconds=means.settings.speech_patience_seconds,
            hears_again=turn.retranscribe_on_turn_timeout,
        )

    def _expected(self) -> RecognitionOptions:
        return replace(recognition_of(self.config), usage=self._floor.usage)

    def _voice(self) -> tuple[float, float]:
        if self._listening is None:
            return 0.0, 0.0
        return self._listening.last_voice_at, self._listening.paused_at

    # The floor (`greenline.channels.live.floor.Host`)

    def switched(self) -> None:
        """The agent goes on in another language: it is heard, and failures are told of, in that one."""
        self._hearing.use(self.config)
        if self._listening is not None:
            self._listening.expect(self._expected())
            self._conversation.spawn(self._means.speech.prepare(voice_of(self.config)))

    def answered(self, ended: str | None, pause: float | None) -> None:
        """The agent has said all; ``ended`` is why the conversation is over, ``pause`` how long it waits."""
        self._silence.pause(pause)
        if ended is not None:
            self.end(ended)
        self.wait_for_person()

    def _take_meanwhile(self) -> bool:
        """Whether the person said, wrote or pressed something while the agent could not be stopped: it is a turn."""
        words = self._meanwhile.take()
        if words is None:
            return False
        self.person_said(words)
        return True
