"""The engine's only way to the world.

Everything a turn asks of the outside (a model, a tool, the time, a new id) goes through `Effects`. The results
are recorded as they are needed, so that a turn that died goes on from its last effect: a tool that ran is not
run again. The same seam serves tests, replays and simulations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeVar

from pydantic import TypeAdapter

from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.ids import derived_id
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import Attempt, LanguageModels, ModelReply, ModelRequest
from greenline.store.mailbox import Claim, Mailboxes, Step
from greenline.text import clean_data
from greenline.tools.models import Tool, ToolContext, ToolResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NoModelAnswered:
    """Every model of the cascade failed: recorded too, so that a resumed turn comes to the same end."""

    attempts: tuple[Attempt, ...]


class Effects(Protocol):
    """What a turn may ask of the world."""

    def now(self) -> datetime:
        """The time of the last effect, or of the turn's start: the same when the turn is resumed."""
        ...

    def new_id(self, prefix: str) -> str:
        """A new id, the same when the turn is resumed."""
        ...

    async def model(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        """One generation, with the cascade."""
        ...

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """One call of a tool."""
        ...

    def returned(self) -> ToolResult | None:
        """What a call has returned of a tool that is there no more: its service went away before the turn went on."""
        ...


_NOT_THERE: Final = "There was no such tool when it was called."

_results: dict[str, TypeAdapter[Any]] = {
    "reply": TypeAdapter(ModelReply),
    "none": TypeAdapter(NoModelAnswered),
    "tool": TypeAdapter(ToolResult),
}


class JournaledEffects:
    """Effects of one claimed turn, recorded in its steps.

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
        self._recorded = {step.number: step for step in claim.steps if step.inputs == inputs}
        self._unsaved: list[Step] = []
        self._number = 0
        self._ids = 0
        self._now = clock.now()
        self.touched_world = any(step.has_effect for step in self._recorded.values())
        """A tool with effects has run, or was begun: the turn can't be superseded any more."""

    def now(self) -> datetime:
        """The time of the last effect, or of the turn's start."""
        return self._now

    def new_id(self, prefix: str) -> str:
        """Derived from the turn's inputs and its place in the turn."""
        self._ids += 1
        key = self._inputs or (self._claim.epoch,)
        return derived_id(prefix, self._claim.mailbox_id, *key, self._ids)

    async def model(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        """One generation, with the cascade."""
        recorded = self._next()
        if recorded is not None:
            result: ModelReply | NoModelAnswered = _load(recorded)
            return result
        result = await self._generate(request)
        kind: Literal["reply", "none"] = "reply" if isinstance(result, ModelReply) else "none"
        self._unsaved.append(self._step(kind, result, has_effect=False))
        return result

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """One call of a tool. One without effects is not recorded: to run it again is the same."""
        if not tool.has_effect:
            return await tool.run(arguments, context)
        if self._went_on_without():
            return ToolResult(_NOT_THERE, is_error=True, error_type="unknown_tool")
        recorded = self._next()
        if recorded is not None:
            result: ToolResult = _load(recorded)
            return result
        # What led to the call is recorded as touching the world: whether the call itself ran, a crash may hide.
        self._unsaved = [replace(step, has_effect=True) for step in self._unsaved]
        await self._save()
        self.touched_world = True
        checkpoint("turn.tool_called")
        result = await tool.run(arguments, context)
        checkpoint("turn.tool_ran")
        self._unsaved.append(self._step("tool", result, has_effect=True))
        await self._save()
        return result

    def returned(self) -> ToolResult | None:
        """What a call of a tool that is there no more has returned before the turn died."""
        step = self._recorded.get(self._number + 1)
        if step is None or step.kind != "tool":
            return None
        result: ToolResult = _load(step)
        self._next()
        return result

    def _went_on_without(self) -> bool:
        """Whether the turn, before it died, had no such tool: what comes next is recorded, and no call is."""
        step = self._recorded.get(self._number + 1)
        return step is not None and step.kind != "tool"

    async def _generate(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        try:
            return await self._models.complete(request)
        except AllModelsFailed as error:
            return NoModelAnswered(tuple(error.attempts))

    def _next(self) -> Step | None:
        self._number += 1
        step = self._recorded.get(self._number)
        if step is not None:
            self._now = step.at
        return step

    def _step(self, kind: str, result: object, *, has_effect: bool) -> Step:
        self._now = self._clock.now()
        data = clean_data(_results[kind].dump_python(result, mode="json"))
        return Step(self._number, self._inputs, kind, has_effect, data, self._now)

    async def _save(self) -> None:
        while self._unsaved:
            await self._mailboxes.save_step(self._claim, self._unsaved[0])
            self._unsaved.pop(0)
            checkpoint("turn.step_saved")


def _load(step: Step) -> Any:
    return _results[step.kind].validate_python(step.result)
