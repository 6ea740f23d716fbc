"""The engine's way to the world in a live conversation: the model streams, tools wait until the person has finished.

Nothing is recorded for a resumption: when the process dies, so does the conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Protocol

from greenline.clock import Clock
from greenline.engine.effects import NoModelAnswered, Watch, ask_judge
from greenline.engine.guardrails.refused import Refused
from greenline.ids import new_id
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import Attempt, LanguageModels, ModelReply, ModelRequest, ReasoningDelta, TextDelta
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

    def guardrail_triggered(self) -> None:
        """A guardrail has refused something."""
        ...

    async def ready_for(self, tool: Tool) -> None:
        """Return when a tool may run: some wait until what was said before them was heard."""
        ...

    def tool_called(self, tool: Tool, arguments: Mapping[str, Any], call_id: str) -> None:
        """A tool begins."""
        ...

    def tool_over(self, tool: Tool) -> None:
        """A tool that began runs no more, whatever came of it."""
        ...

    def tool_returned(self, tool: Tool, call_id: str, result: ToolResult) -> None:
        """A tool has answered."""
        ...


class LiveEffects:
    """Effects of one turn. ``committed`` is set when the turn is no guess any more: only then tools run.

    ``keep`` is called before and after each tool, when what has come so far is certain. ``late`` takes the verdict on
    a turn that was cut, where it is still wanted.
    """

    def __init__(
        self,
        models: LanguageModels,
        clock: Clock,
        speaker: Speaker,
        committed: asyncio.Event,
        keep: Callable[[], None],
        *,
        late: Callable[[Coroutine[Any, Any, Refused]], bool] = lambda judging: False,
    ) -> None:
        self._models = models
        self._clock = clock
        self._speaker = speaker
        self._committed = committed
        self._keep = keep
        self._late = late

    def now(self) -> datetime:
        """The present moment."""
        return self._clock.now()

    def new_id(self, prefix: str) -> str:
        """A new id."""
        return new_id(prefix)

    async def model(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply | NoModelAnswered:
        """One generation, with the cascade; its text is passed on as it comes, unless ``watch`` holds it."""
        if self._committed.is_set():
            self._keep()
        attempts: tuple[Attempt, ...] = ()
        holds = watch is not None and watch.holds
        try:
            events = self._models.stream(request)
            async with _closing(events):
                async for event in events:
                    if isinstance(event, ModelReply):
                        if not holds:
                            self._speaker.reply(event)
                        return event
                    if not holds:
                        self._pass_on(event)
                    if watch is not None and isinstance(event, TextDelta):
                        watch.delta(event.text)
        except AllModelsFailed as error:
            attempts = tuple(error.attempts)
        self._speaker.broke_off()
        return NoModelAnswered(attempts)

    def judge(self, request: ModelRequest, seconds: float) -> Awaitable[ModelReply | NoModelAnswered]:
        """The verdict of a judge. A guess is not worth one: nobody is asked before the person has finished."""
        return self._judge(request, seconds)

    async def judged(self) -> None:
        """Nothing is recorded for a resumption."""

    def triggered(self) -> None:
        """A guardrail was triggered."""
        self._speaker.guardrail_triggered()

    def release(self, reply: ModelReply) -> None:
        """Give out what was held."""
        self._speaker.reply(reply)

    def stop(self) -> None:
        """The reply goes no further; what was said of it stays said."""
        self._speaker.broke_off()

    def left(self, judging: Coroutine[Any, Any, Refused]) -> bool:
        """The person has cut the turn short. Of a guess that was dropped they have got nothing."""
        return self._committed.is_set() and self._late(judging)

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """One call of a tool."""
        await self._committed.wait()
        self._keep()
        call_id = context.idempotency_key.partition(":")[2]
        await self._speaker.ready_for(tool)
        self._speaker.tool_called(tool, arguments, call_id)
        try:
            result = await tool.run(arguments, context)
        finally:
            self._speaker.tool_over(tool)
        self._speaker.tool_returned(tool, call_id, result)
        return result

    def missing(self, key: str, result: ToolResult) -> ToolResult:
        """Nothing is resumed here."""
        return result

    def _pass_on(self, event: TextDelta | ReasoningDelta) -> None:
        if isinstance(event, ReasoningDelta):
            self._speaker.thinks(event.text)
        else:
            self._speaker.delta(event.text)

    async def _judge(self, request: ModelRequest, seconds: float) -> ModelReply | NoModelAnswered:
        await self._committed.wait()
        return await ask_judge(self._models, request, seconds)


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
