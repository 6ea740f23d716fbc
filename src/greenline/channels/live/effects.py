"""The engine's way to the world in a live conversation: the model streams, tools wait until the person has finished.

Nothing is recorded for a resumption: when the process dies, so does the conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, Protocol

from greenline.clock import Clock
from greenline.engine.effects import NoModelAnswered
from greenline.ids import new_id
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import Attempt, LanguageModels, ModelReply, ModelRequest, ReasoningDelta
from greenline.tools.models import Tool, ToolContext, ToolResult


class Speaker(Protocol):
    """Who passes a turn on to the person while it is made."""

    def delta(self, text: str) -> None:
        """A piece of the model's text."""
        ...

    def thinks(self, text: str) -> None:
        """A piece of what the model thinks before it answers."""
        ...

    def reply(self, reply: ModelReply) -> None:
        """The model has finished a reply, which may be followed by tools and another one."""
        ...

    def broke_off(self) -> None:
        """No model goes on with the reply that has begun, if one has."""
        ...

    def tool_called(self, tool: Tool, arguments: Mapping[str, Any], call_id: str) -> None:
        """A tool begins."""
        ...

    def tool_returned(self, tool: Tool, call_id: str, result: ToolResult) -> None:
        """A tool has answered."""
        ...


class LiveEffects:
    """Effects of one turn. ``committed`` is set when the turn is no guess any more: only then tools run."""

    def __init__(self, models: LanguageModels, clock: Clock, speaker: Speaker, committed: asyncio.Event) -> None:
        self._models = models
        self._clock = clock
        self._speaker = speaker
        self._committed = committed

    def now(self) -> datetime:
        """The present moment."""
        return self._clock.now()

    def new_id(self, prefix: str) -> str:
        """A new id."""
        return new_id(prefix)

    async def model(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        """One generation, with the cascade; its text is passed on as it comes."""
        attempts: tuple[Attempt, ...] = ()
        try:
            events = self._models.stream(request)
            async with _closing(events):
                async for event in events:
                    if isinstance(event, ModelReply):
                        self._speaker.reply(event)
                        return event
                    if isinstance(event, ReasoningDelta):
                        self._speaker.thinks(event.text)
                    else:
                        self._speaker.delta(event.text)
        except AllModelsFailed as error:
            attempts = tuple(error.attempts)
        self._speaker.broke_off()
        return NoModelAnswered(attempts)

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """One call of a tool."""
        await self._committed.wait()
        call_id = context.idempotency_key.rsplit(":", 1)[-1]
        self._speaker.tool_called(tool, arguments, call_id)
        result = await tool.run(arguments, context)
        self._speaker.tool_returned(tool, call_id, result)
        return result

    def returned(self) -> ToolResult | None:
        """Nothing is resumed here."""
        return None


@contextlib.asynccontextmanager
async def _closing(events: object) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


class ClientCalls:
    """Calls that a client has to answer."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[tuple[str, bool]]] = {}

    @property
    def waiting(self) -> bool:
        """Whether the client has something to answer."""
        return bool(self._waiting)

    def answer(self, call_id: str, result: str, *, is_error: bool) -> None:
        """The client's answer; one to an unknown call changes nothing."""
        future = self._waiting.get(call_id)
        if future is not None and not future.done():
            future.set_result((result, is_error))

    async def wait(self, call_id: str, seconds: float | None) -> tuple[str, bool]:
        """The answer, as text and whether it is an error. Raises ``TimeoutError``."""
        future = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                answered: tuple[str, bool] = await future
                return answered
        finally:
            del self._waiting[call_id]
