"""The root of what is set around an agent's conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from greenline.agents.config.access import AuthSettings, CallLimits, QueueingConfig
from greenline.agents.config.alerting import AlertingSettings
from greenline.agents.config.base import ConfigModel, Map, Name
from greenline.agents.config.evaluation import AnalysisItems, AnalysisProperty, EvaluationSettings, Scope
from greenline.agents.config.guardrails import Guardrails
from greenline.agents.config.limits import AtMost
from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.config.switches import OverrideSettings
from greenline.agents.config.widget import WidgetConfig
from greenline.agents.config.workspace_overrides import WorkspaceOverrides


class AttachedTest(ConfigModel):
    """A test that belongs to the agent, begun at a workflow node if one is named."""

    test_id: str
    workflow_node_id: str | None = None


class TestingSettings(ConfigModel):
    """The block ``platform_settings.testing``."""

    attached_tests: Annotated[list[AttachedTest], Field(max_length=5000)] = []


class TopicDiscovery(ConfigModel):
    """No field is known; what comes is kept."""


class SentimentAnalysis(ConfigModel):
    """No field is known; what comes is kept."""


class PlatformSettings(ConfigModel):
    """The reference's ``platform_settings``, every default filled in."""

    evaluation: EvaluationSettings = EvaluationSettings()
    widget: WidgetConfig = WidgetConfig()
    data_collection: Annotated[Map[AnalysisProperty], AtMost(40)] = {}
    data_collection_scopes: Map[Scope] = {}
    analysis_items: AnalysisItems | None = None
    overrides: OverrideSettings = OverrideSettings()
    workspace_overrides: WorkspaceOverrides = WorkspaceOverrides()
    testing: TestingSettings = TestingSettings()
    archived: bool = False
    guardrails: Guardrails = Guardrails()
    summary_language: str | None = None
    auto_translate_transcript_to_app_language: bool | None = None
    auth: AuthSettings = AuthSettings()
    call_limits: CallLimits = CallLimits()
    queueing_config: QueueingConfig = QueueingConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    trust_context: Literal["unknown", "low", "high"] = "unknown"
    analysis_llm: Name = "gemini-2.5-flash"
    topic_discovery: TopicDiscovery | None = None
    sentiment_analysis: SentimentAnalysis | None = None
    alerting: AlertingSettings | None = None
