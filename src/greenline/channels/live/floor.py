"""Who has the floor: the agent's answers, one after the other, from the first guess to the last word or the cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeAlias

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.lookup import ValueUnavailable
from greenline.agents.speech import labels_of, voice_of, voices_of
from greenline.agents.variables import MissingVariables, SecretVariable
from greenline.channels.live.answer import Answer
from greenline.channels.live.approvals import Approvals, ClientDesk
from greenline.channels.live.conversation import Conversation
from greenline.channels.live.effects import ClientCalls, LiveEffects
from greenline.channels.live.figures import INTERRUPTIONS, medium_of, observe
from greenline.channels.live.files import Files
from greenline.channels.live.fillers import Fillers
from greenline.channels.live.models import AudioOut, ResponseComplete
from greenline.channels.live.mouth import Utterance
from greenline.channels.live.timers import Timers
from greenline.channels.live.turn import Agent, ClientSide, build_turn
from greenline.clock import Clock
from greenline.conversations.away import away_notes
from greenline.conversations.events import AgentMessage, Event, TurnFailed, TurnTimed, UserMessage
from greenline.engine.guardrails.refused import Refused
from greenline.engine.turn import Outcome, Refusal, Spoken, fail, run_turn
from greenline.engine.variables import known
from greenline.ids import new_id
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.models import Speech, Voice
from greenline.speech.usage import SpeechUsage
from greenline.store.outage import DATABASE_ERRORS
from greenline.tools.manners import Manners, manners_of
from greenline.tools.mcp.toolbox import Mcp, Toolbox
from greenline.tools.models import Text, Tool

log = structlog.get_logger(__name__)

UNREACHABLE: Final = "database_unreachable"
"""Code of a turn that needed something of the database, such as a secret, while it was away."""

TOOL_CALL: Final = "mcp_tool_call"
"""The event by which a client learns that a call waits for its approval."""

Origin: TypeAlias = Literal["first_message", "closing", "human", "failure", "notice", "guardrail"]


class Host(Protocol):
    """Who is told what the floor can't know the consequences of."""

    def switched(self) -> None:
        """The agent goes on in another language."""
        ...

    def answered(self, ended: str | None, pause: float | None) -> None:
        """The agent has said all; ``ended`` is why the conversation is over, ``pause`` how long it waits."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What answers are made with."""

    agent: Agent
    models: LanguageModels
    mcp: Mcp = field(repr=False)
    speech: Speech
    out: AudioOut | None
    files: Files = field(repr=False)
    clock: Clock
    settings: Settings
    now: Callable[[], float] = time.monotonic


class Floor:
    """At most one answer at a time; a new one begins when the last one is over, cut or dropped."""

    def __init__(self, means: Means, conversation: Conversation, timers: Timers, host: Host) -> None:
        self._means = means
        self._conversation = conversation
        self._host = host
        soft = means.agent.config.turn.soft_timeout_config
        self._fillers = Fillers(soft, timers, means.models, conversation.spawn, conversation.record)
        self._answer: Answer | None = None
        self._answering: asyncio.Task[None] | None = None
        self._event_id = 0
        self.usage = SpeechUsage()
        """What was heard and spoken, for its price."""
        self.client_calls = ClientCalls()
        self.approvals = Approvals(means.clock)
        agent = means.agent
        asks = agent.has_client and TOOL_CALL in agent.config.conversation.client_events
        self._toolbox = Toolbox(means.mcp, agent.lookup, ClientDesk(asks, conversation.tell, self.approvals))

    @property
    def free(self) -> bool:
        """Whether there is no answer, not even a guess."""
        return self._answer is None

    @property
    def speaks(self) -> bool:
        """Whether the agent answers for certain."""
        return self._answer is not None and self._answer.committed.is_set()

    @property
    def guess(self) -> Answer | None:
        """The answer to what the person may have said."""
        return None if self._answer is None or self.speaks else self._answer

    @property
    def next_id(self) -> int:
        """``event_id`` of the turn to come."""
        return self._event_id + 1

    @property
    def shielded(self) -> bool:
        """Whether a tool of the agent wants nobody to interrupt, in writing neither."""
        return self._answer is not None and self._answer.shielded

    @property
    def interruptible(self) -> bool:
        """Whether the agent speaks and may be cut short."""
        return (
            self._answer is not None
            and self.speaks
            and self._answer.interruptible
            and not self._answer.shielded
            and "interruption" in self._config.conversation.client_events
        )

    def respond(
        self, said: UserMessage | None = None, *, committed: bool, voice: tuple[float, float] | None = None
    ) -> None:
        """Answer; ``said`` is what the journal does not hold yet, because it is a guess.

        ``voice`` tells when the person's voice ended, and when that was noticed.
        """
        if self._conversation.over:
            return
        answer = self._new_answer(committed=committed)
        answer.said = said
        if voice is not None:
            answer.marks["voice_ended"], answer.marks["paused"] = voice
            answer.mark("recognised")
        answer.works()
        self._answering = self._conversation.spawn(self._respond(answer))
        self._fillers.begin(
            answer, early=not any(isinstance(event, UserMessage) for event in self._conversation.journal)
        )

    def say(self, text: str, origin: Origin, refusal: Refusal | None = None) -> None:
        """Words that come from no model; ``refusal`` is what they follow from."""
        self.interrupt()
        if self._conversation.over:
            return
        answer = self._new_answer(committed=True)
        shielded = origin == "first_message" and self._config.agent.disable_first_message_interruptions
        answer.interruptible = not shielded and refusal is None
        answer.outcome.refusal = refusal
        answer.say(text)
        answer.outcome.events.append(AgentMessage(id=new_id("msg"), text=text, origin=origin))
        self._answering = self._conversation.spawn(self._finish(answer))

    def interrupt(self) -> None:
        """Stop what the agent is doing; the journal keeps what was heard of it."""
        answer = self._answer
        if answer is None or not answer.committed.is_set():
            self.drop()
            return
        self._cut(answer)
        INTERRUPTIONS.labels(medium_of(text_only=self._means.out is None)).inc()

    def drop(self) -> None:
        """Forget a guess."""
        guess = self.guess
        if guess is not None:
            self._answer = None
            self._stop()
            guess.drop()

    def _cut(self, answer: Answer) -> None:
        self._answer = None
        self._stop()
        events = answer.events
        if not answer.recorded:
            self._conversation.record(*events)
        self._conversation.record(*answer.cut(events))
        self._time(answer, events)

    async def quiet(self, seconds: float) -> None:
        """Return when the agent has said what it is saying, at most after ``seconds``."""
        if self._answering is not None:
            await asyncio.wait({self._answering}, timeout=seconds)

    async def meet_servers(self) -> None:
        """Ask the agent's MCP servers for their tools, so that no answer waits for that."""
        try:
            await self._toolbox.offer(self._mcp_servers, known(self._means.agent.started, self._conversation.journal))
        except DATABASE_ERRORS as error:
            log.warning("mcp.not_met", conversation_id=self._conversation.id, error=str(error))

    @property
    def _mcp_servers(self) -> list[str]:
        """None in zero-retention mode (reference: MCP servers)."""
        agent = self._means.agent
        off = agent.version.platform_settings.privacy.zero_retention_mode
        return [] if off else agent.config.agent.prompt.mcp_server_ids

    @property
    def _config(self) -> ConversationConfig:
        return self._means.agent.config

    def _voices(self) -> tuple[Voice, dict[str, Voice]]:
        """The agent's own voice, and its others by their labels."""
        own, others = voice_of(self._config), voices_of(self._config)
        return replace(own, usage=self.usage), {
            label: replace(voice, usage=self.usage) for label, voice in others.items()
        }

    def _switch(self, answer: Answer, language: str) -> None:
        self._means.agent.switch_to(language)
        answer.speak_as(*self._voices())
        self._fillers.use(self._config.turn.soft_timeout_config)
        self._host.switched()

    def _new_answer(self, *, committed: bool) -> Answer:
        means, agent = self._means, self._means.agent
        self._event_id += 1
        own, others = self._voices()
        labels = labels_of(agent.version.conversation_config, agent.config)
        answer = Answer(
            self._event_id,
            self._conversation.tell,
            means.now,
            committed=committed,
            labels=labels,
            manners=self._manners,
        )
        if means.out is not None:
            answer.utterance = Utterance(
                self._event_id,
                means.out,
                means.speech,
                own,
                others,
                seconds=means.settings.speech_patience_seconds,
                held=not committed,
                mark=answer.mark,
                now=means.now,
            )
        self._answer = answer
        return answer

    def _manners(self, tool: Tool) -> Manners:
        return manners_of(tool, self._config.agent.prompt.built_in_tools.enabled())

    async def _respond(self, answer: Answer) -> None:
        means, conversation = self._means, self._conversation
        effects = LiveEffects(
            means.models, means.clock, answer, answer.committed, late=partial(self._wait_for_verdict, answer)
        )
        journal = conversation.journal if answer.said is None else (*conversation.journal, answer.said)
        try:
            files = await means.files.shown(journal, self._config.conversation.file_input.max_files_in_memory)
            offer = await self._toolbox.offer(self._mcp_servers, known(means.agent.started, journal))
            conversation.record(*away_notes(offer.away, journal))
            turn = await build_turn(
                means.agent,
                conversation.id,
                journal,
                files,
                ClientSide(answer.ask_client, answer.ask_to_press, self.client_calls),
                means.settings,
                means.speech,
                means.clock.now(),
                partial(self._switch, answer),
                offer,
            )
            self._fillers.write(turn)
            outcome = await run_turn(turn, effects, answer.outcome)
        except (MissingVariables, SecretVariable, ValueUnavailable) as error:
            log.error("turn.failed", conversation_id=conversation.id, code=error.code, reason=error.message)
            outcome = fail(answer.outcome, effects, means.settings.failure_message, error.code, error.message)
        except DATABASE_ERRORS as error:
            log.error("turn.failed", conversation_id=conversation.id, code=UNREACHABLE, reason=str(error))
            outcome = fail(answer.outcome, effects, means.settings.failure_message, UNREACHABLE, str(error))
        self._fillers.stop()
        if outcome.refusal is not None and outcome.refusal.cut:
            self._cut_off(answer, outcome.refusal)
            return
        answer.interruptible = outcome.refusal is None and not outcome.uninterrupted
        for spoken, is_message in _unstreamed(outcome):
            if isinstance(spoken.say, Text):
                answer.say(spoken.say.text, is_message=is_message)
            else:
                answer.offer(spoken.say, spoken.event_id)
        await self._finish(answer)

    def _cut_off(self, answer: Answer, refusal: Refusal) -> None:
        """Guardrails stop an answer of which the person has got something."""
        self._cut(answer)
        self._part(refusal)

    def _wait_for_verdict(self, answer: Answer, judging: Coroutine[Any, Any, Refused]) -> bool:
        """What was said of an answer that was cut is judged to the end, unless the conversation is over."""
        if self._conversation.over:
            return False
        self._conversation.spawn(self._judge_late(answer, judging))
        return True

    async def _judge_late(self, answer: Answer, judging: Coroutine[Any, Any, Refused]) -> None:
        found = await judging
        self._conversation.record(*found.of(answer.last_id))
        if found.ends is not None and not self._conversation.over:
            self._part(Refusal(found.message, found.ends, cut=True))

    def _part(self, refusal: Refusal) -> None:
        if refusal.text:
            self.say(refusal.text, "guardrail" if refusal.ends else "failure", refusal)
        else:
            self.interrupt()
            self._host.answered(refusal.ends, None)

    async def _finish(self, answer: Answer) -> None:
        await answer.committed.wait()
        self._conversation.record(*answer.events)
        answer.recorded = True
        await self._play(answer)
        answer.over()
        self._time(answer, answer.events)
        self._conversation.tell(ResponseComplete(answer.event_id))
        self._answer = None
        self._host.answered(answer.outcome.termination, answer.outcome.pause)

    async def _play(self, answer: Answer) -> None:
        """Return when the person has heard all of it."""
        out = self._means.out
        if answer.utterance is None or out is None:
            return
        answer.utterance.finish()
        await answer.utterance.spoken()
        failure = answer.utterance.failure
        if failure is not None:
            self._conversation.record(TurnFailed(code="synthesis_failed", reason=str(failure)))
        while (left := out.queued) > 0:  # noqa: ASYNC110 - playback gives no event, it takes its time
            await asyncio.sleep(left)
        if failure is not None:
            self._conversation.record(*answer.unspoken())

    def _time(self, answer: Answer, events: Sequence[Event]) -> None:
        """Keep the silence before an answer of which something was spoken, by whom, and when each voice began."""
        self._conversation.record(*answer.parts_began(events, self._means.clock.now()), *answer.voiced(events))
        waits = answer.waits()
        message = next((event for event in events if isinstance(event, AgentMessage) and event.text), None)
        if waits and message is not None:
            means = self._means
            began = means.clock.now() - timedelta(seconds=means.now() - answer.marks["voice_ended"])
            self._conversation.record(TurnTimed(message_id=message.id, waits=waits, began=began))
            observe(waits)

    def _stop(self) -> None:
        self._fillers.stop()
        if self._answering is not None and self._answering is not asyncio.current_task():
            self._answering.cancel()


def _unstreamed(outcome: Outcome) -> list[tuple[Spoken, bool]]:
    """What the turn says that no model has streamed: words of tools, and of failures, which are messages."""
    origins = {event.id: event.origin for event in outcome.events if isinstance(event, AgentMessage)}
    return [
        (spoken, spoken.event_id in origins) for spoken in outcome.spoken if origins.get(spoken.event_id) != "model"
    ]
