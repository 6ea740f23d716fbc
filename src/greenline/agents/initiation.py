"""``conversation_initiation_client_data``: what a start of a conversation may bring (reference: Personalization)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from greenline.agents.config import ConfigOverride
from greenline.agents.config.base import ConfigModel, Map, Name
from greenline.agents.config.limits import AtMost
from greenline.agents.variables import shown

MOST_OF_USER_ID: Final = 500
"""Characters: conversations are found by it, and an entry of an index in Postgres has 2,704 bytes at most."""


NameOrNone = Annotated[str | None, BeforeValidator(lambda name: None if name == "" else name)]
"""Clients send what they leave open as the empty text, too."""


class SourceInfo(ConfigModel):
    """The client that starts the conversation."""

    source: Name | None = None
    version: Annotated[str, Field(max_length=50)] | None = None


class ToolMockConfig(ConfigModel):
    """Which tools are not really run in this conversation, and what becomes of a call that no mock answers."""

    mocking_strategy: Literal["none", "all", "selected"] = "none"
    mocked_tool_names: list[str] = []  # noqa: RUF012 - pydantic copies the default of a field
    fallback_strategy: Literal["raise_error", "call_real_tool"] = "raise_error"


class InitiationData(ConfigModel):
    """Start data. Unknown fields are kept; every field may be null or absent."""

    conversation_config_override: ConfigOverride = ConfigOverride()
    custom_llm_extra_body: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies the default of a field
    user_id: Annotated[str, AtMost(MOST_OF_USER_ID)] | None = None
    source_info: SourceInfo | None = None
    branch_id: NameOrNone = None
    environment: NameOrNone = None
    starting_workflow_node_id: str | None = None
    procedure_ids: list[str] | None = None
    start_procedure_ids: Annotated[list[str], Field(max_length=5)] | None = None
    tool_mock_config: ToolMockConfig | None = None
    dynamic_variables: Map[Any] = {}  # noqa: RUF012 - pydantic copies the default of a field

    def stored(self) -> dict[str, Any]:
        """What was set, as it is kept: without the secret variables, which the journal holds sealed."""
        data = self.model_dump(mode="json", exclude_unset=True)
        if "dynamic_variables" in data:
            data["dynamic_variables"] = shown(data["dynamic_variables"])
        return data
