"""Who uses something of a workspace, as the API tells it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class DependentAgentAnswer(BaseModel):
    """An agent that uses a secret or an MCP server (SDK: DependentAvailableAgentIdentifier)."""

    type: Literal["available"] = "available"
    referenced_resource_ids: list[str] | None = None
    id: str
    name: str
    created_at_unix_secs: int
    access_level: Literal["admin"] = "admin"
