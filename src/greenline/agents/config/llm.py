"""An own model endpoint, and the models that take over."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Map, Name
from greenline.agents.config.locators import AuthConnection, EnvironmentLocator, HeaderValue, SecretLocator


class CustomLlm(ConfigModel):
    """An endpoint that speaks the OpenAI wire, used when ``llm`` is ``custom-llm``."""

    url: str
    model_id: str | None = None
    api_key: SecretLocator | EnvironmentLocator | None = None
    auth_connection: AuthConnection | None = None
    request_headers: Map[HeaderValue] = {}
    api_version: str | None = None
    api_type: Literal["chat_completions", "responses", "websocket"] = "chat_completions"


class BackupLlmDefault(ConfigModel):
    """The server's own order."""

    preference: Literal["default"] = "default"


class BackupLlmDisabled(ConfigModel):
    """No other model takes over."""

    preference: Literal["disabled"]


class BackupLlmOverride(ConfigModel):
    """The agent's own order."""

    preference: Literal["override"]
    order: list[Name]


BackupLlmConfig: TypeAlias = Annotated[
    BackupLlmDefault | BackupLlmDisabled | BackupLlmOverride, Field(discriminator="preference")
]
