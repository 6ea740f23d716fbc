"""When an operator is told that an agent does badly."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Integer, Map, Name

AtLeastOne: TypeAlias = Annotated[Integer, Field(ge=1)]


class AlertingMonitor(ConfigModel):
    """Limits of one monitor; null takes the workspace's."""

    enabled: bool | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    relative_increase_threshold: Annotated[float, Field(ge=0, le=10)] | None = None
    min_failure_count: AtLeastOne | None = None
    min_history_bucket_count: AtLeastOne | None = None
    min_sample_count: AtLeastOne | None = None
    suspect_trigger_threshold: Annotated[int, Field(ge=1, le=10)] | None = None
    auto_resolve_after_inactive_minutes: AtLeastOne | None = None


class WebhookNotifier(ConfigModel):
    """Tells a webhook of the workspace."""

    type: Literal["webhook"]
    webhook_id: str


class IntegrationNotifier(ConfigModel):
    """Tells a service such as Slack."""

    type: Literal["integration"]
    integration_type: Name | None = None
    connection_id: str
    channel_id: str | None = None


class AlertingSettings(ConfigModel):
    """Monitors by name, and who is told."""

    monitor_configs: Map[AlertingMonitor] = {}
    auto_resolve_after_inactive_minutes: AtLeastOne | None = None
    notifiers: Annotated[
        list[Annotated[WebhookNotifier | IntegrationNotifier, Field(discriminator="type")]], Field(max_length=10)
    ] = []
