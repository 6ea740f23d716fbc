"""A live conversation, by text or by voice: one agent, one person, one process that holds it.

What the person does comes in through methods that return at once; what happens goes out to listeners. The journal is
written as it happens. `run` lives as long as the conversation and writes its end.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Literal

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.lookup import ValueUnavailable
from greenline.agents.speech import recognition_of, voice_of
from greenline.agents.variables import MissingVariables, SecretVariable, render
from greenline.channels.live.answer import Answer
from greenline.channels.live.ears import Patience
from greenline.channels.live.effects import ClientCalls, LiveEffects
from greenline.channels.live.figures import INTERRUPTIONS, RUNNING, medium_of, observe
from greenline.channels.live.journal import LiveJournal
from greenline.channels.live.listening import Listening
from greenline.channels.live.models import (
    AgentResponse,
    AudioOut,
    Listener,
    LiveEvent,
    ResponseComplete,
    SessionEnded,
    TakenOver,
    UserTranscript,
    VadScore,
)
from greenline.channels.live.mouth import Utterance
from greenline.channels.live.recorder import Recorder
from greenline.channels.live.timers import Timers
from greenline.channels.live.turn import Agent, build_turn
from greenline.channels.orders import ITEM, Order, load_order
from greenline.clock import Clock
from greenline.conversations.events import (
    AgentMessage,
    ContextualUpdate,
    Ended,
    Event,
    Feedback,
    HumanTakeover,
    Medium,
    Noted,
    TurnFailed,
    TurnTimed,
    UserMessage,
    UserSilent,
)
from greenline.conversations.lifecycle import ENDED_BY_OPERATOR, MAX_DURATION
from greenline.engine.turn import Outcome, fail, run_turn
from greenline.ids import new_id
from greenline.llm.models import FilePart, LanguageModels
from greenline.settings import Settings
from greenline.speech.errors import SpeechError
from greenline.speech.models import Speech
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.worker import Worker
from greenline.text import clean_text

log = structlog.get_logger(__name__)

HISTORY: Final = 100
"""Events that a monitor which connects late is told (reference: Real-time monitoring)."""
MOST_NUDGES: Final = 3
"""How often in a row the agent speaks into silence before it waits for the person."""
DIGITS_SECONDS: Final = 1.5
CODE_NORMAL: Final = 1000
CODE_CRASH: Final = 1011

Files = Callable[[Sequence[str]], Coroutine[Any, Any, dict[str, FilePart]]]
"""Loads files of the conversation for the model; unknown ones are left out."""


class LiveSession:
    """Make it with `greenline.channels.live.begin`."""

    def __init__(
        self,
        *,
        agent: Agent,
        journal: LiveJournal,
        claim: Claim,
        mailboxes: Mailboxes,
        holder: Worker,
        models: LanguageModels,
        speech: Speech,
        out: AudioOut | None,
        recorder: Recorder | None,
        files: Files,
        clock: Clock,
        settings: Settings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent = agent
        self._journal = journal
        self._claim = claim
        self._mailboxes = mailboxes
        self._holder = holder
        self._models = models
        self._speech = speech
        self._recorder = recorder
        self._out = out if out is None or recorder is None else recorder.beside(out)
        self._load_files = files
        self._clock = clock
        self._settings = settings
        self._now = now
        self._listeners: list[Listener] = []
        self._event_id = 0
        self._answer: Answer | None = None
        self._answering: asyncio.Task[None] | None = None
        self._human = False
        self._nudges = 0
        self._digits = ""
        self._files: dict[str, FilePart] = {}
        self._calls = ClientCalls()
        self._timers = Timers(clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[SessionEnded] = asyncio.get_running_loop().create_future()
        self._listening = None if self._out is None else self._make_listening()
        self.history: deque[LiveEvent] = deque(maxlen=HISTORY)

    # What others see

    @property
    def conversation_id(self) -> str:
        """Its id."""
        return self._journal.conversation.id

    @property
    def config(self) -> ConversationConfig:
        """The agent's configuration with the overrides of this conversation."""
        return self._agent.config

    @property
    def text_only(self) -> bool:
        """Whether there is no sound in it."""
        return self._agent.text_only

    @property
    def _medium(self) -> str:
        return medium_of(text_only=self.text_only)

    @property
    def journal(self) -> tuple[Event, ...]:
        """What has happened."""
        return tuple(self._journal.events)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on; call what is returned to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def note(self, event: Event) -> None:
        """Record something that the channel knows of."""
        self._record(event)

    async def run(self) -> SessionEnded:
        """Greet, listen and answer until the end, which is written when this returns."""
        ended = SessionEnded(CODE_CRASH, "The server met an unexpected error.", "unknown_websocket_crash")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._holder.attach(self._claim, task)
        RUNNING.labels(self._medium).inc()
        try:
            await self._open()
            ended = await self._end
        except LeaseLost:
            ended = SessionEnded(
                CODE_CRASH, "Another server has taken the conversation over.", "websocket_disconnect"
            )
        except asyncio.CancelledError:
            ended = SessionEnded(CODE_NORMAL, "The conversation was cut short.")
            raise
        finally:
            RUNNING.labels(self._medium).dec()
            await self._close(ended)
            self._holder.let_go(self._claim)
        return ended

    # What the person and their client do

    def hear(self, pcm: bytes) -> None:
        """Sound at `greenline.speech.models.HEARING_RATE`."""
        if self._listening is not None and not self._end.done():
            self._listening.hear(pcm)
            if self._recorder is not None:
                self._recorder.hear(pcm)

    def user_message(self, text: str, file_ids: Sequence[str] = (), rich_content_id: str | None = None) -> None:
        """A finished turn of the person, in writing."""
        text = clean_text(text).strip()
        if text or file_ids:
            self._hear_turn(text, "file" if file_ids else "text", tuple(file_ids))

    def digit(self, digit: str) -> None:
        """A key of the telephone; keys that follow each other closely are one turn."""
        self._digits += digit
        self._person_is_there()
        if digit == "#":
            self._take_digits()
        else:
            self._timers.set("digits", DIGITS_SECONDS, self._take_digits)

    def user_activity(self) -> None:
        """The person is there: no turn timeout for now."""
        self._person_is_there()
        if self._answer is None:
            self._wait_for_person()

    def contextual_update(self, text: str, context_id: str | None = None) -> None:
        """Background for the agent."""
        self._record(ContextualUpdate(text=clean_text(text), context_id=context_id))

    def tool_result(self, tool_call_id: str, result: str, *, is_error: bool) -> None:
        """The answer to a client tool call; one to an unknown call changes nothing."""
        self._calls.answer(tool_call_id, clean_text(result), is_error=is_error)

    def feedback(self, event_id: int, score: Literal["like", "dislike"] | None) -> None:
        """A rating of one answer."""
        self._record(Feedback(score=score, event_id=event_id))

    def end(self, reason: str, *, code: int = CODE_NORMAL, error_type: str | None = None) -> None:
        """End the conversation; `run` returns soon."""
        if not self._end.done():
            self._end.set_result(SessionEnded(code, reason, error_type))

    # What an operator does

    def obey(self, order: Order) -> None:
        """Carry an order out (reference: Real-time monitoring, commands)."""
        match order.command:
            case "enable_human_takeover" | "disable_human_takeover":
                self._take_over(order.command == "enable_human_takeover")
            case "send_human_message":
                self._speak(order.text, "human")
            case "contextual_update":
                self.contextual_update(order.text)
            case "end_call":
                self.end(ENDED_BY_OPERATOR)
            case "transfer_to_number":
                self._record(Noted(what="order_refused", detail={"command": order.command}))

    def _take_over(self, active: bool) -> None:
        if active != self._human:
            self._interrupt()
            self._human = active
            self._record(HumanTakeover(active=active))
            self._tell(TakenOver(active))

    # Beginning and end

    async def _open(self) -> None:
        self._spawn(self._follow_orders())
        self._spawn(self._watch_journal())
        if self._recorder is not None:
            self._spawn(self._recorder.run())
        self._timers.set("duration", self.config.conversation.max_duration_seconds, self._too_long)
        if self._listening is not None:
            try:
                await self._listening.begin()
            except SpeechError as error:
                self.is_deaf(error)
        text = render(self.config.agent.first_message, self._agent.started.variables).strip()
        if text and self._answer is None:
            self._speak(text, "first_message")
        else:
            self._wait_for_person()

    async def _close(self, ended: SessionEnded) -> None:
        self._timers.stop_all()
        self._interrupt()
        for task in (*self._tasks, *([self._answering] if self._answering else [])):
            task.cancel()
        await asyncio.gather(*self._tasks, *([self._answering] if self._answering else []), return_exceptions=True)
        if self._listening is not None:
            await self._listening.aclose()
        failed = ended.code not in (CODE_NORMAL,)
        error = {"code": ended.code, "reason": ended.reason} if failed else None
        try:
            await self._journal.close(Ended(reason=ended.reason, status="failed" if failed else "done", error=error))
        except LeaseLost:
            log.warning("live.lease_lost", conversation_id=self.conversation_id)
        if self._recorder is not None:
            await self._recorder.close()
        self._tell(ended)

    def _too_long(self) -> None:
        farewell = self.config.agent.max_conversation_duration_message
        if farewell:
            self._interrupt()
            self._speak(farewell, "closing")
        self._spawn(self._end_after_words(MAX_DURATION, "max_duration_exceeded"))

    async def _end_after_words(self, reason: str, error_type: str | None) -> None:
        if self._answering is not None:
            await asyncio.wait({self._answering}, timeout=30)
        self.end(reason, error_type=error_type)

    async def _follow_orders(self) -> None:
        while True:
            await self._claim.arrived.wait()
            await self._mailboxes.look_again(self._claim)
            for item in self._claim.items:
                if item.kind == ITEM:
                    self.obey(load_order(item.payload))
                self._journal.obeyed(item.id)
            await self._journal.flush()

    async def _watch_journal(self) -> None:
        await self._journal.broken.wait()
        self.end("The conversation could not be written down.", code=CODE_CRASH, error_type="unknown")

    # Listening (`greenline.channels.live.listening.Hearer`)

    def voice_began(self) -> None:
        """The person begins to speak: the agent stops, if it may be interrupted."""
        self._person_is_there()
        if self._may_interrupt() and not self.config.turn.interruption_ignore_terms:
            self._interrupt()

    def seems_to_say(self, text: str) -> None:
        """What the utterance seems to be so far."""
        self._tell(UserTranscript(self._event_id + 1, text, tentative=True))
        if self._may_interrupt() and not self._is_ignored(text):
            self._interrupt()

    def may_have_said(self, text: str) -> None:
        """The person pauses: begin to answer on suspicion, unless the agent still speaks."""
        if self._answer is None and not self._human and not self._is_ignored(text):
            said = UserMessage(id=new_id("msg"), text=text, medium="audio", type="audio", sent_at=self._clock.now())
            self._begin(said, committed=False, spoken=True)

    def goes_on(self) -> None:
        """The person speaks on: the guess was wrong."""
        if self._answer is not None and not self._answer.committed.is_set():
            self._drop()

    def has_said(self, text: str) -> None:
        """The person has finished."""
        guess = self._answer if self._answer is not None and not self._answer.committed.is_set() else None
        if self._answer is not None and guess is None:
            if not text or self._is_ignored(text) or not self._may_interrupt():
                return
            self._interrupt()
        if not text:
            self._drop()
            self._wait_for_person()
            return
        if guess is not None and guess.said is not None and guess.said.text == text:
            self._heard(guess.said)
            guess.commit()
            return
        self._drop()
        self._hear_turn(text, "audio")

    def is_deaf(self, error: SpeechError) -> None:
        """Recognition failed: the person is told, the operator sees it."""
        self._record(TurnFailed(code="recognition_failed", reason=str(error)))
        self._interrupt()
        if self._settings.failure_message:
            self._speak(self._settings.failure_message, "failure")

    def window(self, score: float) -> None:
        """The probability of voice in the last window."""
        if "vad_score" in self.config.conversation.client_events:
            self._tell(VadScore(round(score, 3)))

    def _may_interrupt(self) -> bool:
        answer = self._answer
        events = self.config.conversation.client_events
        return answer is not None and answer.committed.is_set() and answer.interruptible and "interruption" in events

    def _is_ignored(self, text: str) -> bool:
        """Whether ``text`` is only a sign of listening ("mhm"), and the agent speaks."""
        if self._answer is None or not self._answer.committed.is_set():
            return False
        terms = {_plain(term) for term in self.config.turn.interruption_ignore_terms}
        return bool(terms) and (_plain(text) in terms or all(word in terms for word in _plain(text).split()))

    def _take_digits(self) -> None:
        self._timers.stop("digits")
        digits, self._digits = self._digits, ""
        if digits:
            self._hear_turn(f"[Keys pressed: {digits}]", "dtmf")

    # Turns

    def _hear_turn(self, text: str, medium: Medium, file_ids: tuple[str, ...] = ()) -> None:
        """The person has finished a turn: whatever the agent is doing is over."""
        self._interrupt()
        said = UserMessage(
            id=new_id("msg"),
            text=text,
            medium=medium,
            type=medium,
            file_ids=file_ids,
            sent_at=self._clock.now(),
            received_at=self._clock.now(),
        )
        self._heard(said)
        if not self._human:
            self._begin(None, committed=True, spoken=medium == "audio")

    def _heard(self, said: UserMessage) -> None:
        self._person_is_there()
        self._nudges = 0
        self._record(said)
        if said.medium == "audio":
            self._tell(UserTranscript(self._event_id + 1, said.text))

    def _begin(self, said: UserMessage | None, *, committed: bool, spoken: bool = False) -> None:
        """Answer; ``said`` is what the journal does not hold yet, because it is a guess."""
        answer = self._new_answer(committed=committed)
        answer.said = said
        if self._listening is not None and spoken:
            answer.marks["voice_ended"] = self._listening.last_voice_at
            answer.marks["paused"] = self._listening.paused_at
            answer.mark("recognised")
        self._answering = asyncio.create_task(self._answer_turn(answer))
        soft = self.config.turn.soft_timeout_config
        if soft.timeout_seconds > 0 and answer.utterance is not None:
            self._timers.set("soft", soft.timeout_seconds, lambda: self._fill(answer, soft.message))

    def _new_answer(self, *, committed: bool) -> Answer:
        self._timers.stop("turn")
        self._event_id += 1
        answer = Answer(self._event_id, self._tell, self._now, committed=committed)
        if self._out is not None:
            voice = voice_of(self.config)
            answer.utterance = Utterance(
                self._event_id, self._out, self._speech, voice, held=not committed, mark=answer.mark
            )
        self._answer = answer
        return answer

    def _fill(self, answer: Answer, words: str) -> None:
        if answer is self._answer and answer.utterance is not None and "sentence" not in answer.marks:
            answer.utterance.feed(f"{words}\n")
            self._record(Noted(what="soft_timeout", detail={"text": words}))

    async def _answer_turn(self, answer: Answer) -> None:
        effects = LiveEffects(self._models, self._clock, answer, answer.committed)
        journal = self.journal if answer.said is None else (*self.journal, answer.said)
        try:
            await self._bring_files(journal)
            turn = await build_turn(
                self._agent,
                self.conversation_id,
                journal,
                self._files,
                answer.ask_client,
                self._calls,
                self._settings,
            )
            outcome = await run_turn(turn, effects, answer.outcome)
        except (MissingVariables, SecretVariable, ValueUnavailable) as error:
            log.error("turn.failed", conversation_id=self.conversation_id, code=error.code, reason=error.message)
            message = self._settings.failure_message
            outcome = fail(answer.outcome, effects, message, error.code, error.message)
        for words in _unstreamed(outcome):
            answer.say(words)
        self._timers.stop("soft")
        await self._finish(answer, outcome)

    async def _finish(self, answer: Answer, outcome: Outcome) -> None:
        await answer.committed.wait()
        self._record(*answer.events)
        answer.recorded = True
        await self._play(answer)
        self._time(answer, answer.events)
        self._tell(ResponseComplete(answer.event_id))
        self._answer = None
        if outcome.ended is not None:
            self.end(f"end_call tool was called: {outcome.ended}")
        self._wait_for_person()

    async def _play(self, answer: Answer) -> None:
        """Return when the person has heard all of it."""
        if answer.utterance is None or self._out is None:
            return
        answer.utterance.finish()
        await answer.utterance.spoken()
        if answer.utterance.failure is not None:
            self._record(TurnFailed(code="synthesis_failed", reason=str(answer.utterance.failure)))
        while (left := self._out.queued) > 0:  # noqa: ASYNC110 - playback gives no event, it takes its time
            await asyncio.sleep(left)

    def _speak(self, text: str, origin: Literal["first_message", "closing", "human", "failure"]) -> None:
        """Words that come from no model."""
        self._interrupt()
        answer = self._new_answer(committed=True)
        answer.interruptible = not (
            origin == "first_message" and self.config.agent.disable_first_message_interruptions
        )
        answer.say(text)
        answer.outcome.events.append(AgentMessage(id=new_id("msg"), text=text, origin=origin))
        self._answering = asyncio.create_task(self._finish(answer, answer.outcome))

    def _interrupt(self) -> None:
        """Stop what the agent is doing; the journal keeps what was heard of it."""
        answer = self._answer
        if answer is None:
            return
        if not answer.committed.is_set():
            self._drop()
            return
        self._answer = None
        self._stop_answering()
        events = answer.events
        if not answer.recorded and events:
            self._record(*events)
        self._record(*answer.cut(events))
        self._time(answer, events)
        INTERRUPTIONS.labels(self._medium).inc()

    def _time(self, answer: Answer, events: Sequence[Event]) -> None:
        """Keep the silence before an answer of which something was spoken."""
        waits = answer.waits()
        message = next((event for event in events if isinstance(event, AgentMessage) and event.text), None)
        if waits and message is not None:
            self._record(TurnTimed(message_id=message.id, waits=waits))
            observe(waits)

    def _drop(self) -> None:
        """Forget a guess."""
        answer = self._answer
        if answer is not None and not answer.committed.is_set():
            self._answer = None
            self._stop_answering()
            answer.drop()

    def _stop_answering(self) -> None:
        self._timers.stop("soft")
        if self._answering is not None and self._answering is not asyncio.current_task():
            self._answering.cancel()

    # Silence

    def _person_is_there(self) -> None:
        self._timers.stop("turn")
        self._timers.stop("silence")

    def _wait_for_person(self) -> None:
        turn = self.config.turn
        if self.text_only or self._human or self._end.done():
            return
        if turn.silence_end_call_timeout > 0:
            self._timers.set("silence", turn.silence_end_call_timeout, lambda: self.end("Silence"))
        if turn.turn_timeout > 0 and self._nudges < MOST_NUDGES:
            self._timers.set("turn", turn.turn_timeout, self._nudge)

    def _nudge(self) -> None:
        if self._answer is None and not self._human and not (self._listening and self._listening.speaking):
            self._nudges += 1
            self._record(UserSilent())
            self._begin(None, committed=True)

    # Means

    def _make_listening(self) -> Listening:
        finish = self._settings.end_of_turn_seconds[self.config.turn.turn_eagerness]
        patience = Patience(begin=self._settings.barge_in_seconds, pause=min(0.2, finish), finish=finish)
        return Listening(self._speech, recognition_of(self.config), patience, self, self._now)

    async def _bring_files(self, journal: Sequence[Event]) -> None:
        room = self.config.conversation.file_input.max_files_in_memory
        named = [file_id for event in journal if isinstance(event, UserMessage) for file_id in event.file_ids]
        missing = [file_id for file_id in named[-room:] if file_id not in self._files]
        if missing:
            self._files |= await self._load_files(missing)

    def _record(self, *events: Event) -> None:
        if events:
            self._journal.record(*events)

    def _tell(self, event: LiveEvent) -> None:
        if isinstance(event, AgentResponse) or not isinstance(event, VadScore):
            self.history.append(event)
        for listener in list(self._listeners):
            listener(event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("live.failed", conversation_id=self.conversation_id, exc_info=error)
            self.end("The server met an unexpected error.", code=CODE_CRASH, error_type="unknown_websocket_crash")


def _unstreamed(outcome: Outcome) -> list[str]:
    """What the turn says that no model has streamed: words of tools and of failures."""
    streamed = {event.id for event in outcome.events if isinstance(event, AgentMessage) and event.origin == "model"}
    return [spoken.say.text for spoken in outcome.spoken if spoken.event_id not in streamed]


def _plain(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum() or char.isspace()).strip()
