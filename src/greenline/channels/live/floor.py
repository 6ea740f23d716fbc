"""Who has the floor: the agent's answers, one after the other, from the first guess to the last word or the cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

from greenline.agents.speech import labels_of
from greenline.channels.live.answer import Answer
from greenline.channels.live.answering import Answering
from greenline.channels.live.conversation import Conversation
from greenline.channels.live.figures import INTERRUPTIONS, medium_of, observe
from greenline.channels.live.fillers import Fillers
from greenline.channels.live.means import Means
from greenline.channels.live.models import ResponseComplete
from greenline.channels.live.mouth import Utterance
from greenline.channels.live.spoken import parts_began, spoken_by
from greenline.conversations.events import AgentMessage, Event, TurnFailed, TurnTimed, UserMessage
from greenline.engine.figures import TURNS
from greenline.engine.guardrails.refused import Refused
from greenline.engine.turn import Outcome, Refusal, Spoken
from greenline.ids import new_id
from greenline.tools.manners import Manners, manners_of
from greenline.tools.models import Text, Tool

Origin: TypeAlias = Literal["first_message", "closing", "human", "failure", "notice", "guardrail"]


class Floor:
    """At most one answer at a time; a new one begins when the last one is over, cut or dropped.

    ``answered`` is called when the agent has said all, with why the conversation is over, if it is, and how long the
    agent leaves its turn out, if it does.
    """

    def __init__(
        self,
        means: Means,
        conversation: Conversation,
        answering: Answering,
        fillers: Fillers,
        answered: Callable[[str | None, float | None], None],
    ) -> None:
        self._means = means
        self._conversation = conversation
        self._answering = answering
        self._fillers = fillers
        self._answered = answered
        self._answer: Answer | None = None
        self._task: asyncio.Task[None] | None = None
        self._event_id = 0
        self._waited = 0.0
        """Seconds for which the person has waited for answers of which nothing came before they spoke again."""

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
            and "interruption" in self._means.config.conversation.client_events
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
            answer.waterfall.follows_voice(*voice)
        answer.works()
        self._task = self._conversation.spawn(self._respond(answer))
        spoken_before = any(isinstance(event, UserMessage) for event in self._conversation.journal)
        self._fillers.begin(answer, early=said is None and not spoken_before)

    def say(self, text: str, origin: Origin, refusal: Refusal | None = None) -> None:
        """Words that come from no model; ``refusal`` is what they follow from."""
        self.interrupt()
        if self._conversation.over:
            return
        answer = self._new_answer(committed=True)
        shielded = origin == "first_message" and self._means.config.agent.disable_first_message_interruptions
        answer.interruptible = not shielded and refusal is None
        answer.outcome.refusal = refusal
        answer.say(text)
        answer.outcome.events.append(AgentMessage(id=new_id("msg"), text=text, origin=origin))
        self._task = self._conversation.spawn(self._finish(answer))

    def interrupt(self) -> None:
        """Stop what the agent is doing; the journal keeps what was heard of it."""
        answer = self._answer
        if answer is None or not answer.committed.is_set():
            self.drop()
            return
        self._cut(answer)

    def give_way(self) -> None:
        """As `interrupt`, for a person who speaks or writes meanwhile."""
        if self.speaks:
            INTERRUPTIONS.labels(medium_of(text_only=self._means.out is None)).inc()
        self.interrupt()

    def drop(self) -> None:
        """Forget a guess."""
        guess = self.guess
        if guess is not None:
            self._answer = None
            self._stop()
            guess.drop()

    async def quiet(self, seconds: float) -> None:
        """Return when the agent has said what it is saying, at most after ``seconds``."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)

    def _new_answer(self, *, committed: bool) -> Answer:
        means, agent = self._means, self._means.agent
        self._event_id += 1
        own, others = means.voices()
        labels = labels_of(agent.version.conversation_config, agent.config)
        answer = Answer(
            self._event_id,
            self._conversation.tell,
            means.now,
            committed=committed,
            labels=labels,
            manners=self._manners,
        )
        answer.waited = self._waited
        if means.out is not None:
            answer.utterance = Utterance(
                self._event_id,
                means.out,
                means.speech,
                own,
                others,
                seconds=means.settings.speech_patience_seconds,
                held=not committed,
                mark=answer.waterfall.reach,
                now=means.now,
            )
        self._answer = answer
        return answer

    def _manners(self, tool: Tool) -> Manners:
        return manners_of(tool, self._means.config.agent.prompt.built_in_tools.enabled())

    async def _respond(self, answer: Answer) -> None:
        outcome = await self._answering.run(answer, partial(self._wait_for_verdict, answer))
        self._fillers.stop()
        if outcome.refusal is not None and outcome.refusal.cut:
            TURNS.labels(outcome.came_to).inc()
            self._cut(answer)
            self._part(outcome.refusal)
            return
        answer.interruptible = outcome.refusal is None and not outcome.uninterrupted
        for spoken, is_message in _unstreamed(outcome):
            if isinstance(spoken.say, Text):
                answer.say(spoken.say.text, "" if is_message else spoken.event_id)
            else:
                answer.offer(spoken.say, spoken.event_id)
        await answer.committed.wait()  # a guess that was wrong is no turn
        TURNS.labels(outcome.came_to).inc()
        await self._finish(answer)

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
        """Say what follows from a refusal, once the answer is cut of which the person had got something."""
        if refusal.text:
            self.say(refusal.text, "guardrail" if refusal.ends else "failure", refusal)
        else:
            self.interrupt()
            self._answered(refusal.ends, None)

    def _cut(self, answer: Answer) -> None:
        self._answer = None
        self._stop()
        events = answer.events
        self._waited = 0.0 if events else answer.waited_in_vain
        self._conversation.record(*answer.take(events))
        self._conversation.record(*answer.cut(events, self._answering.approvals.calls))
        self._time(answer, events)

    async def _finish(self, answer: Answer) -> None:
        await answer.committed.wait()
        self._waited = 0.0
        self._conversation.record(*answer.take(answer.events))
        answer.recorded = True
        await self._play(answer)
        answer.over()
        self._time(answer, answer.events)
        self._conversation.tell(ResponseComplete(answer.event_id))
        self._answer = None
        self._answered(answer.outcome.termination, answer.outcome.pause)

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
        utterance, means, record = answer.utterance, self._means, self._conversation.record
        if utterance is not None:
            record(
                *parts_began(utterance.said, events, means.moment), *spoken_by(utterance.said, events, means.moment)
            )
        waits = answer.waterfall.waits()
        message = next((event for event in events if isinstance(event, AgentMessage) and event.text), None)
        if waits and message is not None:
            record(TurnTimed(message_id=message.id, waits=waits, began=means.moment(answer.waterfall.began)))
            observe(waits)

    def _stop(self) -> None:
        self._fillers.stop()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()


def _unstreamed(outcome: Outcome) -> list[tuple[Spoken, bool]]:
    """What the turn says that no model has streamed: words of tools, and of failures, which are messages."""
    origins = {event.id: event.origin for event in outcome.events if isinstance(event, AgentMessage)}
    return [
        (spoken, spoken.event_id in origins) for spoken in outcome.spoken if origins.get(spoken.event_id) != "model"
    ]
