"""Effects that a test writes down: what the model answers, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from greenline.engine.effects import NoModelAnswered, Watch
from greenline.engine.guardrails.refused import Refused
from greenline.llm.models import ModelReply, ModelRequest
from greenline.tools.models import Tool, ToolContext, ToolResult

Verdict = Callable[[ModelRequest], "ModelReply | NoModelAnswered"]


class ScriptedEffects:
    """Answers each model call with the next of ``replies`` and keeps what was asked.

    ``judge`` answers for judges; ``told`` is what listeners of a live conversation would hear of.
    """

    def __init__(
        self, replies: Sequence[ModelReply | NoModelAnswered], verdict: Verdict = lambda request: NoModelAnswered(())
    ) -> None:
        self._replies = list(replies)
        self._verdict = verdict
        self._ids = 0
        self.requests: list[ModelRequest] = []
        self.questions: list[ModelRequest] = []
        self.told: list[str] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"

    async def model(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply | NoModelAnswered:
        self.requests.append(request)
        return self._replies.pop(0)

    def judge(self, request: ModelRequest, seconds: float) -> Awaitable[ModelReply | NoModelAnswered]:
        self.questions.append(request)
        return self._judge(request)

    async def _judge(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        return self._verdict(request)

    async def judged(self) -> None:
        self.told.append("judged")

    def triggered(self) -> None:
        self.told.append("triggered")

    def release(self, reply: ModelReply) -> None:
        self.told.append(f"released: {reply.text}")

    def stop(self) -> None:
        self.told.append("stopped")

    def left(self, judging: Coroutine[Any, Any, Refused]) -> bool:
        return False

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return await tool.run(arguments, context)

    def missing(self, key: str, result: ToolResult) -> ToolResult:
        return result
