"""The engine's only way to the world.

Everything a turn asks of the outside (a model, a tool, the time, a new id) goes through `Effects`. The results
are recorded as they are needed, so that a turn that died goes on from its last effect: a tool that ran is not
run again. The same seam serves tests, replays and simulations.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from pydantic import TypeAdapter

from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.engine.guardrails.figures import JUDGED_AFTER
from greenline.engine.guardrails.refused import Refused
from greenline.ids import derived_id
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import Attempt, LanguageModels, ModelReply, ModelRequest
from greenline.store.mailbox import Claim, Mailboxes, Step
from greenline.text import clean_data
from greenline.tools.models import Tool, ToolContext, ToolResult, service_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NoModelAnswered:
    """Every model of the cascade failed: recorded too, so that a resumed turn comes to the same end."""

    attempts: tuple[Attempt, ...]


class Watch(Protocol):
    """Who reads a reply along while it is written. What it ``holds`` is given out by `Effects.release` only."""

    @property
    def holds(self) -> bool:
        """Whether nobody else gets the reply before it is released."""
        ...

    def delta(self, text: str) -> None:
        """A piece of the model's text."""
        ...


class Effects(Protocol):
    """What a turn may ask of the world."""

    def now(self) -> datetime:
        """The time of the last effect, or of the turn's start: the same when the turn is resumed."""
        ...

    def new_id(self, prefix: str) -> str:
        """A new id, the same when the turn is resumed."""
        ...

    async def model(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply | NoModelAnswered:
        """One generation, with the cascade."""
        ...

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """One call of a tool."""
        ...

    def missing(self, key: str, result: ToolResult) -> ToolResult:
        """A call that no tool can run returns ``result``, or what it returned before the turn died.

        ``key`` is the idempotency key of the call (`greenline.tools.models.ToolContext`).
        """
        ...

    def judge(self, request: ModelRequest, seconds: float) -> Awaitable[ModelReply | NoModelAnswered] | None:
        """The verdict of a judge, which has ``seconds``: the next effect from the call on, whenever it comes.

        None where the turn, before it died, went on without this question: what it is about has passed.
        """
        ...

    async def judged(self) -> None:
        """Keep what judges have said before something comes of it."""
        ...

    def triggered(self) -> None:
        """A guardrail was triggered."""
        ...

    def release(self, reply: ModelReply) -> None:
        """Give out what was held."""
        ...

    def stop(self) -> None:
        """The reply that is being written goes no further; what was given out of it joins the outcome's messages."""
        ...

    def left(self, judging: Coroutine[Any, Any, Refused]) -> bool:
        """The turn was cut while its reply was given out; whether somebody waits for ``judging``, its verdict."""
        ...


_UNKNOWN_OUTCOME: Final = ToolResult(
    "Nobody knows whether this tool has run. Don't call it again without asking the person.",
    is_error=True,
    error_type="unknown_outcome",
)
_NOT_THERE: Final = "There was no such tool when it was called."

CALL: Final = "tool:"
"""Before the key of a call, in the kind of its step."""
_REPLY, _VERDICT = "model", "judge"
"""Before the place of a model's reply in its turn, and before what a judge was asked, in the kinds of their steps."""

_results: dict[str, TypeAdapter[Any]] = {
    "reply": TypeAdapter(ModelReply),
    "none": TypeAdapter(NoModelAnswered),
    "tool": TypeAdapter(ToolResult),
}


async def ask_judge(models: LanguageModels, request: ModelRequest, seconds: float) -> ModelReply | NoModelAnswered:
    """One generation that nobody waits for longer than ``seconds``."""
    try:
        with JUDGED_AFTER.time():
            async with asyncio.timeout(seconds):
                return await models.complete(request)
    except AllModelsFailed as error:
        return NoModelAnswered(tuple(error.attempts))
    except TimeoutError:
        return NoModelAnswered((Attempt(request.model, f"timeout: no verdict in {seconds:g} s", seconds),))


class JournaledEffects:
    """Effects of one claimed turn, recorded in its steps.

    A step is found by what it is the result of, not by its number: the agent may have other tools and guardrails by
    the time at which the turn is resumed.

    The result of a model is written just before the next effect depends on it, and not at all when none does:
    the turn's own commit follows at once and holds it.
    """

    def __init__(
        self, mailboxes: Mailboxes, claim: Claim, models: LanguageModels, clock: Clock, inputs: tuple[int, ...]
    ) -> None:
        self._mailboxes = mailboxes
        self._claim = claim
        self._models = models
        self._clock = clock
        self._inputs = inputs
        steps = [step for step in claim.steps if step.inputs == inputs]
        self._recorded = {step.kind.partition(":")[2] or str(step.number): step for step in steps}
        self._unnamed = [step for step in steps if ":" not in step.kind]
        """Replies and verdicts that a server of the version before recorded: it found them by their order."""
        self._unsaved: list[Step] = []
        self._saved: Step | None = None
        """The last step that is recorded already."""
        self._number = max((step.number for step in steps), default=0)
        self._reached = 0
        """The number of the last step that was found, or of the last reply."""
        self._tries: Counter[int] = Counter()
        self._questions: Counter[str] = Counter()
        self._ids = 0
        self._now = clock.now()
        self.touched_world = any(step.has_effect for step in steps)
        """A tool with effects has run, or was begun: the turn can't be superseded any more."""

    def now(self) -> datetime:
        """The time of the last effect, or of the turn's start."""
        return self._now

    def new_id(self, prefix: str) -> str:
        """Derived from the turn's inputs and its place in the turn."""
        self._ids += 1
        return derived_id(prefix, self._claim.mailbox_id, *self._inputs, self._ids)

    async def model(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply | NoModelAnswered:
        """One generation, with the cascade. Nobody gets it before the turn is committed: there is nothing to hold."""
        self._tries[self._ids] += 1
        key = f"{_REPLY}:{self._ids}:{self._tries[self._ids]}"
        recorded = self._found(key) or self._next_unnamed()
        if recorded is not None:
            self._now = recorded.at
            result: ModelReply | NoModelAnswered = _load(recorded)
            return result
        number = self._reached = self._next_number()
        result = await self._generate(request)
        self._done(self._generated(number, key, result))
        return result

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """One call of a tool. One without effects is not recorded: to run it again is the same."""
        recorded = self._recorded_call(context.idempotency_key)
        if recorded is not None:
            result: ToolResult = _load(recorded)
            return result
        if not tool.has_effect:
            return await tool.run(arguments, context)
        if self._went_on(self._ids):
            # The turn, before it died, had no such tool or one of another nature: what came next is recorded.
            return ToolResult(_NOT_THERE, is_error=True, error_type="unknown_tool")
        number, kind = self._next_number(), f"{CALL}{context.idempotency_key}"
        # What led to the call is recorded as touching the world: whether the call itself ran, a crash may hide.
        led_here = self._unsaved or ([self._saved] if self._saved else [])
        self._unsaved = [replace(step, has_effect=True) for step in led_here]
        service = service_of(tool)
        if service is not None and not service.may_repeat:
            # What a turn finds that dies before the call returns: it does not make it again.
            self._unsaved.append(self._step(number, kind, _UNKNOWN_OUTCOME, has_effect=True))
        self.touched_world = True  # from here on nobody may take these steps back
        await self._save()
        checkpoint("turn.tool_called")
        result = await tool.run(arguments, context)
        checkpoint("turn.tool_ran")
        self._done(self._step(number, kind, result, has_effect=True))
        await self._save()
        return result

    def missing(self, key: str, result: ToolResult) -> ToolResult:
        """Recorded with the next effect: a turn that is resumed keeps to it, though the tool may be there by then."""
        recorded = self._recorded_call(key)
        if recorded is not None:
            known: ToolResult = _load(recorded)
            return known
        if not self._went_on(self._ids):  # else it was there before the turn died, and left nothing behind
            self._done(self._step(self._next_number(), f"{CALL}{key}", result, has_effect=False))
        return result

    def judge(self, request: ModelRequest, seconds: float) -> Awaitable[ModelReply | NoModelAnswered] | None:
        """The verdict of a judge, which may come while other effects are under way.

        What led to a call, or to another round, has passed: a question that is new since then comes too late.
        """
        asked = _asked(request)
        self._questions[asked] += 1  # a model that is to try again may say the same
        key = f"{_VERDICT}:{asked}:{self._questions[asked]}"
        recorded = self._found(key) or self._next_unnamed()
        if recorded is None and (self._went_on(self._ids + 1) or self._led_to_a_call):
            return None
        return self._judge(request, seconds, key, recorded, 0 if recorded else self._next_number())

    async def judged(self) -> None:
        """Record the verdicts: a resumed turn sends what was judged, and asks nobody again."""
        self._saved = max(self._unsaved, key=lambda step: step.number, default=self._saved)
        await self._save()

    def triggered(self) -> None:
        """Nobody watches: the journal tells of it."""

    def release(self, reply: ModelReply) -> None:
        """Nothing was held."""

    def stop(self) -> None:
        """Nothing was given out."""

    def left(self, judging: Coroutine[Any, Any, Refused]) -> bool:
        """Nothing was given out."""
        return False

    async def _judge(
        self, request: ModelRequest, seconds: float, key: str, recorded: Step | None, number: int
    ) -> ModelReply | NoModelAnswered:
        if recorded is not None:
            result: ModelReply | NoModelAnswered = _load(recorded)
            return result
        result = await ask_judge(self._models, request, seconds)
        self._unsaved.append(self._generated(number, key, result))
        return result

    async def _generate(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        try:
            return await self._models.complete(request)
        except AllModelsFailed as error:
            return NoModelAnswered(tuple(error.attempts))

    def _recorded_call(self, key: str) -> Step | None:
        """What a call returned before the turn died."""
        step = self._found(key)
        self._now = step.at if step is not None else self._now
        return step

    def _found(self, key: str) -> Step | None:
        """The step that is the result of ``key``, if the turn had come there before it died."""
        return self._come_to(self._recorded.get(key))

    def _next_unnamed(self) -> Step | None:
        return self._come_to(next((step for step in self._unnamed if step.number > self._reached), None))

    def _come_to(self, step: Step | None) -> Step | None:
        if step is not None:
            self._reached, self._saved = max(self._reached, step.number), step
        return step

    def _went_on(self, rounds: int) -> bool:
        """Whether the turn, before it died, had called a tool after this, or had begun so many rounds."""
        later = [step for step in self._recorded.values() if step.number > self._reached]
        return any(step.kind.startswith(CALL) or _round(step) >= rounds for step in later)

    @property
    def _led_to_a_call(self) -> bool:
        """Whether the reply that was found last was about to call a tool, which may have run."""
        here = (step for step in self._recorded.values() if step.number >= self._reached)
        return any(step.has_effect and not step.kind.startswith(CALL) for step in here)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _done(self, step: Step) -> None:
        self._now = step.at
        self._unsaved.append(step)

    def _generated(self, number: int, key: str, result: ModelReply | NoModelAnswered) -> Step:
        kind = "reply" if isinstance(result, ModelReply) else "none"
        return self._step(number, f"{kind}:{key}", result, has_effect=False)

    def _step(self, number: int, kind: str, result: object, *, has_effect: bool) -> Step:
        data = clean_data(_results[kind.partition(":")[0]].dump_python(result, mode="json"))
        return Step(number, self._inputs, kind, has_effect, data, self._clock.now())

    async def _save(self) -> None:
        while self._unsaved:
            await self._mailboxes.save_step(self._claim, self._unsaved[0])
            self._unsaved.pop(0)
            checkpoint("turn.step_saved")


def _load(step: Step) -> Any:
    return _results[step.kind.partition(":")[0]].validate_python(step.result)


def _round(step: Step) -> int:
    """The round of its turn in which a model replied; -1 for other steps."""
    kind = step.kind.split(":")
    return int(kind[2]) if kind[1:2] == [_REPLY] else -1


def _asked(request: ModelRequest) -> str:
    """The same for the same question to the same judge."""
    said = [request.model, *(f"{message.role} {message.text}" for message in request.messages)]
    return hashlib.sha256("\0".join(said).encode(errors="surrogatepass")).hexdigest()[:32]
