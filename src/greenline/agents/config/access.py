"""Who may start conversations, and how many at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Integer


class AllowlistItem(ConfigModel):
    """A host name without a scheme; subdomains are listed separately."""

    hostname: str


class AuthSettings(ConfigModel):
    """What a socket must show: an origin on the list, a signed URL, or the token under which the agent is shared."""

    enable_auth: bool = False
    allowlist: Annotated[list[AllowlistItem], Field(max_length=10)] = []
    require_origin_header: bool = False
    shareable_token: str | None = None


class CallLimits(ConfigModel):
    """Conversations at once (-1: as many as the workspace) and in a day."""

    agent_concurrency_limit: Integer = -1
    daily_limit: Integer = 100_000
    bursting_enabled: bool = True


class HoldAudio(ConfigModel):
    """A recording for people who wait; set by upload, never here."""

    audio_path: str
    audio_url: str
    original_filename: str
    duration_secs: float
    size_bytes: Integer


class QueueingConfig(ConfigModel):
    """Whether callers wait when the agent is at its limit. New agents queue unless they say otherwise."""

    enabled: bool = True
    wait_timeout_seconds: Annotated[int, Field(ge=1, le=1800)] = 180
    hold_audio: HoldAudio | None = None
