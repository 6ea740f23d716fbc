"""Guardrails during one turn: when judges are asked, and what comes of what they say.

The person's words are judged beside the first reply of the model. A reply that is held is judged when it is whole,
and then given out, written again, or refused. A reply that streams is judged while it is written, sentence by
sentence, and once more when it is whole: what was given out stays given out, and is judged to the end also when the
person cuts it short, or nobody who interrupts in time would ever be stopped. Either way everything is judged before a
tool runs, and judges are asked at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, TypeVar

import structlog

from greenline.conversations.events import AgentMessage, Event, GuardrailsChecked
from greenline.conversations.usage import add_usage
from greenline.engine.effects import Effects, NoModelAnswered
from greenline.engine.guardrails.figures import CHECKS
from greenline.engine.guardrails.questions import Question, questions_on_input, questions_on_reply
from greenline.engine.guardrails.refused import Refused
from greenline.engine.guardrails.replies import Held, Streaming, words_of
from greenline.engine.guardrails.rules import Guard, Rule
from greenline.engine.guardrails.verdicts import Verdict, verdict
from greenline.engine.usage import usage_of
from greenline.llm.models import Message, ModelReply, ModelRequest, TextPart
from greenline.text import clean_text
from greenline.tools.models import Tool

log = structlog.get_logger(__name__)

TRIGGERED: Final = "Guardrail triggered"
T = TypeVar("T")


class Watching:
    """The guardrails of one turn; as a context it stops what is still being judged at its end."""

    def __init__(self, guard: Guard, conversation_id: str, journal: Sequence[Event], effects: Effects) -> None:
        self._guard = guard
        self._conversation_id = conversation_id
        self._journal = journal
        self._effects = effects
        self._tasks: set[asyncio.Task[Any]] = set()
        self._judging: list[asyncio.Task[Verdict]] = []
        self._partly: list[asyncio.Task[Verdict]] = []
        """What is judged of a reply that is being written."""
        self._alarm = asyncio.Event()
        """Set when something was found for which the reply that is being written is to stop."""
        self._checks: list[GuardrailsChecked] = []
        self._again: list[Message] = []
        """Refused replies and why they were, for the model that tries again, until a reply passes."""
        self._retries = 0
        self._generating: asyncio.Task[ModelReply | NoModelAnswered] | None = None
        self._streaming: Streaming | None = None
        self._before: Sequence[Event] = ()
        self._is_asked = False
        """Whether a whole reply that was given out is being judged."""

    async def __aenter__(self) -> Watching:
        self._ask(questions_on_input(self._guard.of("input"), self._journal, self._guard.seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is asyncio.CancelledError and self._is_given_out:
            if self._generating is not None:
                self._generating.cancel()
            judging = self._afterthought()
            if self._effects.left(judging):
                return
            judging.close()
        await self._stop()

    async def model(
        self, request: ModelRequest, events: list[Event], tools: Mapping[str, Tool]
    ) -> ModelReply | NoModelAnswered | Refused:
        """A reply that may be given out, or was; ``events`` are those of the turn so far.

        Of a reply that broke off, ``events`` have what was given out, and here get what was found of it.
        """
        before = (*self._journal, *events)
        while True:
            reply = await self._generation(request, before)
            if reply is None:
                return self._refused(await self._verdict(at_once=True), "")
            if isinstance(reply, NoModelAnswered):
                return await self._broken_off(before, events) or reply
            words = words_of(reply, tools)
            self._ask_about(words, before)
            if not self._guard.holds:
                return reply
            found = await self._verdict()
            if self._lets_pass(found):
                self._note(found)
                self._again.clear()
                self._effects.release(reply)
                return reply
            if not self._may_try_again(found):
                return self._refused(found, words, reply)
            self._try_again(found, words, reply)

    async def afterwards(self, message_id: str, events: list[Event]) -> Refused | None:
        """What was found of the reply that is the message ``message_id``; recorded in ``events`` where it passes."""
        if not self._guard.holds:
            found = await self._verdict()
            if not self._lets_pass(found):
                return self._refused(found, "")
            self._note(found)
        self._record(message_id, events)
        return None

    async def _broken_off(self, before: Sequence[Event], events: list[Event]) -> Refused | None:
        """What was found of a reply after which no model goes on; nothing where none of it was given out."""
        given_out = events[-1] if len(before) < len(self._journal) + len(events) else None
        if self._guard.holds or not isinstance(given_out, AgentMessage):
            return None
        self._ask_about(given_out.text, before)
        found = await self._verdict()
        if found.hits:
            return self._refused(found, "")
        # Without a verdict, too, the turn fails because no model answered.
        self._note(found)
        self._record(given_out.id, events)
        return None

    def _record(self, message_id: str, events: list[Event]) -> None:
        events.extend(check.model_copy(update={"message_id": message_id}) for check in self._checks)
        self._checks.clear()

    # Generating

    async def _generation(
        self, request: ModelRequest, before: Sequence[Event]
    ) -> ModelReply | NoModelAnswered | None:
        """The next reply; None when something was found before it was whole."""
        self._alarm.clear()
        asked = replace(request, messages=(*request.messages, *self._again))
        watch = Held() if self._guard.holds else self._stream(before)
        generating = self._generating = self._spawn(self._effects.model(asked, watch))
        alarm = self._spawn(self._alarm.wait())
        await asyncio.wait({generating, alarm}, return_when=asyncio.FIRST_COMPLETED)
        alarm.cancel()
        if isinstance(watch, Streaming):
            watch.close()
            self._streaming = None
        if generating.done():
            return generating.result()
        generating.cancel()
        await asyncio.wait({generating})
        self._effects.stop()
        return None

    def _stream(self, before: Sequence[Event]) -> Streaming:
        self._before = before
        self._streaming = Streaming(lambda text, answered: self._ask_partly(text, answered, before))
        return self._streaming

    @property
    def _is_given_out(self) -> bool:
        """Whether the person has got something on which there is no verdict yet."""
        being_written = self._streaming is not None and bool(self._streaming.text.strip())
        return not self._guard.holds and (being_written or self._is_asked)

    async def _afterthought(self) -> Refused:
        """What is found of a reply that was cut short; without an end and a reason it passes."""
        try:
            if self._streaming is not None:
                self._streaming.close()
                self._ask_about(self._streaming.text.strip(), self._before)
            found = await self._verdict()
            return self._refused(found, "")
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """Nothing is judged any more."""
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _may_try_again(self, found: Verdict) -> bool:
        """Whether all that was broken may be mended."""
        mendable = bool(found.broken) and all(rule.feedback is not None for rule in found.broken)
        return mendable and self._retries < self._guard.retries and (self._guard.lenient or not found.unjudged)

    def _try_again(self, found: Verdict, words: str, reply: ModelReply) -> None:
        self._retries += 1
        self._note(found, words, reply)
        feedback = "\n".join(dict.fromkeys(rule.feedback or "" for rule in found.broken))
        self._again += [Message("assistant", (TextPart(words),)), Message("system", (TextPart(feedback),))]

    # Judging

    def _ask(self, questions: Sequence[Question]) -> None:
        for question in questions:
            judging = self._effects.judge(question.request, self._guard.seconds)
            if judging is not None:
                self._judging.append(self._spawn(self._check(question, judging)))

    def _ask_about(self, words: str, before: Sequence[Event]) -> None:
        """About a whole reply; what is still being judged of its beginning is part of that."""
        for task in self._partly:
            task.cancel()
        self._is_asked = True
        if words:
            self._ask(questions_on_reply(self._guard.of("reply"), before, words, self._guard.seconds))

    def _ask_partly(self, words: str, answered: Callable[[], None], before: Sequence[Event]) -> None:
        rules = self._guard.of("reply", unfinished=True)
        questions = questions_on_reply(rules, before, words, self._guard.seconds, unfinished=True)
        if questions:
            self._spawn(self._check_partly(questions)).add_done_callback(lambda _: answered())

    async def _check_partly(self, questions: Sequence[Question]) -> None:
        """A judge that fails may do better when the reply is whole: that check counts."""
        for question in questions:
            judging = self._effects.judge(question.request, self._guard.seconds)
            if judging is not None:
                self._partly.append(self._spawn(self._check(question, judging, partly=True)))
        if self._partly:
            await asyncio.wait(self._partly)

    async def _check(
        self, question: Question, judging: Awaitable[ModelReply | NoModelAnswered], *, partly: bool = False
    ) -> Verdict:
        found = verdict(question, await judging)
        if partly:
            found.unjudged.clear()
        if found.hits or (found.unjudged and not self._guard.lenient):
            self._alarm.set()
        if found.hits or not partly:
            self._count(question.rules, found)
        return found

    async def _verdict(self, *, at_once: bool = False) -> Verdict:
        """All that was asked; ``at_once``: as far as it is known."""
        if not at_once and self._judging:
            await asyncio.wait(self._judging)
        whole = Verdict()
        tasks, self._judging, self._partly = [*self._partly, *self._judging], [], []
        for task in tasks:
            if task.done() and not task.cancelled():
                whole.add(task.result())
            else:
                task.cancel()
        self._is_asked = False
        await self._effects.judged()
        if whole.hits:
            self._effects.triggered()
        return whole

    # What comes of it

    def _lets_pass(self, found: Verdict) -> bool:
        return not found.hits and (self._guard.lenient or not found.unjudged)

    def _note(self, found: Verdict, refused: str = "", reply: ModelReply | None = None) -> None:
        """Keep what was found of a reply, which is ``refused`` if it was; then its tokens are nobody else's."""
        usage = add_usage(found.usage, {reply.model: usage_of(reply)} if reply else {})
        self._checks.append(
            GuardrailsChecked(
                message_id="",
                mode="blocking" if self._guard.holds else "streaming",
                hits=tuple(found.hits),
                unjudged=tuple(found.unjudged),
                refused=clean_text(refused),
                usage=usage,
            )
        )

    def _refused(self, found: Verdict, words: str, reply: ModelReply | None = None) -> Refused:
        self._note(found, words, reply)
        named = ", ".join(_named(hit.type, hit.name) for hit in found.hits)
        reason = "; ".join(f"{_named(one.type, one.name)}: {one.reason}" for one in found.unjudged)
        checks, self._checks = tuple(self._checks), []
        return Refused(checks, self._guard.message, f"{TRIGGERED}: {named}" if named else None, reason)

    def _count(self, rules: Sequence[Rule], found: Verdict) -> None:
        for hit in found.hits:
            CHECKS.labels(hit.type, "triggered").inc()
            log.info("guardrail.triggered", conversation_id=self._conversation_id, type=hit.type, name=hit.name)
        for one in found.unjudged:
            CHECKS.labels(one.type, "failed").inc()
            log.warning(
                "guardrail.unjudged",
                conversation_id=self._conversation_id,
                type=one.type,
                name=one.name,
                reason=one.reason,
            )
        not_passed = [(hit.type, hit.name) for hit in found.hits]
        not_passed += [(one.type, one.name) for one in found.unjudged]
        for rule in rules:
            if (rule.type, rule.name) not in not_passed:
                CHECKS.labels(rule.type, "passed").inc()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _named(kind: str, name: str | None) -> str:
    return f"{kind} ({name})" if name else kind
