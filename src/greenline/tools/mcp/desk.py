"""Who sees what becomes of a conversation's MCP tools, and who may approve their calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

APPROVAL_SECONDS: Final = 300.0
"""How long a call waits for its approval (reference: ``approval_timeout_secs``)."""


@dataclass(frozen=True, slots=True)
class McpToolCall:
    """A call of a tool, in one of the states that a client is told of. ``parameters`` are what the model gave."""

    server_id: str
    tool_call_id: str
    tool_name: str
    description: str
    parameters: Mapping[str, Any] = field(repr=False)
    at: datetime
    state: Literal["loading", "awaiting_approval", "success", "failure"] = "loading"
    approval_seconds: float = APPROVAL_SECONDS
    result: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Integration:
    """A server of an agent, and how many of its tools are offered."""

    server_id: str
    is_connected: bool
    tools: int = 0


@dataclass(frozen=True, slots=True)
class McpConnections:
    """Which servers of an agent could be asked for their tools."""

    integrations: tuple[Integration, ...]


class Desk(Protocol):
    """What a conversation does for its MCP tools."""

    @property
    def can_approve(self) -> bool:
        """Whether somebody can be asked."""
        ...

    def tell(self, event: McpToolCall | McpConnections) -> None:
        """Pass on what has happened."""
        ...

    async def approve(self, call_id: str, seconds: float) -> bool | None:
        """The word on a call that waits for it; None when there was none in time."""
        ...


class NobodyAsked:
    """Of a conversation in which no client shows tools to a person: on WhatsApp, in writing or on a call."""

    can_approve: bool = False

    def tell(self, event: McpToolCall | McpConnections) -> None:
        """The transcript and the log hold it."""

    async def approve(self, call_id: str, seconds: float) -> bool | None:
        """Nobody is asked."""
        return None
