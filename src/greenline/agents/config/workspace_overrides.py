"""Settings of the workspace that an agent has its own of: webhooks."""

from __future__ import annotations

from typing import Literal

from greenline.agents.config.base import ConfigModel, Map, Name
from greenline.agents.config.locators import EnvironmentLocator, SecretLocator


class InitiationWebhook(ConfigModel):
    """Asked for start data when a conversation begins."""

    url: str
    request_headers: Map[str | SecretLocator | EnvironmentLocator] = {}


class Webhooks(ConfigModel):
    """What is told once a conversation ended; ``send_audio`` is the older form of an event."""

    post_call_webhook_id: str | None = None
    events: list[Name] = []
    transcript_format: Literal["json", "opentelemetry"] = "json"
    exclude_transcript: bool | None = None
    send_audio: bool | None = None


class WorkspaceOverrides(ConfigModel):
    """The block ``platform_settings.workspace_overrides``."""

    conversation_initiation_client_data_webhook: InitiationWebhook | None = None
    webhooks: Webhooks = Webhooks()
