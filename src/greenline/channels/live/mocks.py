"""Tools that are not really run, because whoever began the conversation said so (reference: ``tool_mock_config``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from greenline.agents.initiation import ToolMockConfig
from greenline.llm.models import ToolSpec
from greenline.tools.models import Tool, ToolContext, ToolResult


@dataclass(frozen=True, slots=True)
class MockedTool:
    """Looks like a tool to the model and has no answer: no mock of it matches."""

    tool: Tool

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
        """Nothing happens."""
        return False

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """An error that says why."""
        name = self.tool.spec.name
        return ToolResult(f"No mock matched this call of {name}.", is_error=True, error_type="no_mock_matched")


def mocked(tools: Iterable[Tool], config: ToolMockConfig) -> tuple[Tool, ...]:
    """``tools``, with those that may not be run replaced. System tools always run."""

    def is_mocked(tool: Tool) -> bool:
        chosen = config.mocking_strategy == "all" or tool.spec.name in config.mocked_tool_names
        return config.mocking_strategy != "none" and chosen and tool.type != "system"

    if config.fallback_strategy == "call_real_tool":
        return tuple(tools)
    return tuple(MockedTool(tool) if is_mocked(tool) else tool for tool in tools)
