"""Tools that are not really run, because whoever began the conversation said so (reference: ``tool_mock_config``)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenline.agents.initiation import ToolMockConfig
from greenline.agents.variables import as_text
from greenline.channels.live.patterns import Patterns
from greenline.llm.models import ToolSpec
from greenline.tools.assignments import value_at
from greenline.tools.manners import Manners, manners_of
from greenline.tools.mcp.models import ResponseMock
from greenline.tools.mcp.tool import McpTool
from greenline.tools.models import Tool, ToolContext, ToolResult


@dataclass(frozen=True, slots=True)
class MockedTool:
    """Looks like a tool to the model; a mock of it answers.

    Where none matches, the tool itself is run, or without ``runs`` an error is the answer.
    """

    tool: Tool
    patterns: Patterns = field(repr=False)
    runs: bool = False

    @property
    def spec(self) -> ToolSpec:
        """Its own."""
        return self.tool.spec

    @property
    def type(self) -> str:
        """Its own."""
        return self.tool.type

    @property
    def has_effect(self) -> bool:
        """Whether it may be run after all."""
        return self.runs and self.tool.has_effect

    @property
    def manners(self) -> Manners:
        """Its own."""
        return manners_of(self.tool)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """The first mock that matches, which is found in the time that the tool has for a call."""
        name = self.tool.spec.name
        if isinstance(self.tool, McpTool):
            try:
                async with asyncio.timeout(self.tool.seconds):
                    mock = await self._first(self.tool.mocks, arguments)
            except TimeoutError:
                text = f"The mocks of {name} were not matched in {self.tool.seconds} seconds."
                return ToolResult(text, is_error=True, error_type="mock_timeout")
            if mock is not None:
                kind = "mocked_error" if mock.is_error else ""
                return self.tool.assign(ToolResult(mock.mock_result, is_error=mock.is_error, error_type=kind))
        if self.runs:
            return await self.tool.run(arguments, context)
        return ToolResult(f"No mock matched this call of {name}.", is_error=True, error_type="no_mock_matched")

    async def _first(self, mocks: Iterable[ResponseMock], arguments: Mapping[str, Any]) -> ResponseMock | None:
        for mock in mocks:
            if await _hold(mock.parameter_conditions, arguments, self.patterns):
                return mock
        return None


@dataclass(frozen=True, slots=True)
class Mocks:
    """What is not really run in a conversation."""

    config: ToolMockConfig
    patterns: Patterns = field(repr=False)

    def over(self, tools: Iterable[Tool]) -> tuple[Tool, ...]:
        """``tools``, with mocks in the place of those that are not to be run. System tools always run."""
        runs = self.config.fallback_strategy == "call_real_tool"
        return tuple(MockedTool(tool, self.patterns, runs) if self._mock(tool) else tool for tool in tools)

    def _mock(self, tool: Tool) -> bool:
        config = self.config
        chosen = config.mocking_strategy == "all" or tool.spec.name in config.mocked_tool_names
        return config.mocking_strategy != "none" and chosen and tool.type != "system"


async def _hold(conditions: Iterable[Any], arguments: Mapping[str, Any], patterns: Patterns) -> bool:
    for condition in conditions:
        if not await _holds(condition, arguments, patterns):
            return False
    return True


async def _holds(condition: Any, arguments: Mapping[str, Any], patterns: Patterns) -> bool:
    """Whether an argument is as a mock wants it (reference: ``parameter_conditions``).

    A condition that only a model could judge, or one of an unknown kind, never holds.
    """
    wanted, path = (condition.get("eval"), condition.get("path")) if isinstance(condition, dict) else (None, None)
    if not isinstance(wanted, dict) or not isinstance(path, str):
        return False
    value = value_at(dict(arguments), path)
    match wanted:
        case {"type": "anything"}:
            return True
        case {"type": "exact", "expected_value": str(expected)}:
            return value is not None and as_text(value) == expected
        case {"type": "regex", "pattern": str(pattern)}:
            return value is not None and await patterns.found(pattern, as_text(value))
    return False
