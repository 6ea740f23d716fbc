"""Effects that a test writes down: what the model answers, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from greenline.engine.effects import NoModelAnswered
from greenline.llm.models import ModelReply, ModelRequest
from greenline.tools.models import Tool, ToolContext, ToolResult


class ScriptedEffects:
    """Answers each model call with the next of ``replies`` and keeps what was asked."""

    def __init__(self, replies: Sequence[ModelReply | NoModelAnswered]) -> None:
        self._replies = list(replies)
        self._ids = 0
        self.requests: list[ModelRequest] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"

    async def model(self, request: ModelRequest) -> ModelReply | NoModelAnswered:
        self.requests.append(request)
        return self._replies.pop(0)

    async def tool(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return await tool.run(arguments, context)

    def returned(self) -> ToolResult | None:
        return None
