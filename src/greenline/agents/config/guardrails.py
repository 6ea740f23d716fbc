"""Checks of what goes in and out of the model."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Name

ExecutionMode: TypeAlias = Literal["streaming", "blocking"]
"""``streaming`` sends while it checks, ``blocking`` holds the answer back; only that can retry."""


class Guardrail(ConfigModel):
    """A check with nothing to set but its switch."""

    is_enabled: bool = False


class EndCallAction(ConfigModel):
    """Ends the conversation."""

    type: Literal["end_call"] = "end_call"


class RetryAction(ConfigModel):
    """Lets the model try again, told why."""

    type: Literal["retry"]
    feedback: str = "Your last answer broke a rule of this conversation. Answer again without breaking it."


TriggerAction: TypeAlias = Annotated[EndCallAction | RetryAction, Field(discriminator="type")]


class ContentThreshold(Guardrail):
    """A category of content; the threshold is a share, or a word for one."""

    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["low", "medium", "high"] = 0.3


class ContentCategories(ConfigModel):
    """The categories that are looked for."""

    sexual: ContentThreshold = ContentThreshold()
    violence: ContentThreshold = ContentThreshold()
    harassment: ContentThreshold = ContentThreshold()
    self_harm: ContentThreshold = ContentThreshold()
    profanity: ContentThreshold = ContentThreshold()
    religion_or_politics: ContentThreshold = ContentThreshold()
    medical_and_legal_information: ContentThreshold = ContentThreshold()


class ContentGuardrail(ConfigModel):
    """Refuses content by category."""

    execution_mode: ExecutionMode = "streaming"
    config: ContentCategories = ContentCategories()
    trigger_action: TriggerAction = EndCallAction()


class ModerationThreshold(Guardrail):
    """A category of moderation; the threshold is a share."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.3


class ModerationCategories(ConfigModel):
    """The categories of the older block."""

    sexual: ModerationThreshold = ModerationThreshold()
    violence: ModerationThreshold = ModerationThreshold()
    violence_graphic: ModerationThreshold = ModerationThreshold()
    harassment: ModerationThreshold = ModerationThreshold()
    harassment_threatening: ModerationThreshold = ModerationThreshold()
    hate: ModerationThreshold = ModerationThreshold()
    hate_threatening: ModerationThreshold = ModerationThreshold()
    self_harm_instructions: ModerationThreshold = ModerationThreshold()
    self_harm: ModerationThreshold = ModerationThreshold()
    self_harm_intent: ModerationThreshold = ModerationThreshold()
    sexual_minors: ModerationThreshold = ModerationThreshold()


class ModerationGuardrail(ConfigModel):
    """Refuses content by the categories of a moderation service, and ends the conversation."""

    execution_mode: ExecutionMode = "streaming"
    config: ModerationCategories = ModerationCategories()


class CustomGuardrail(Guardrail):
    """A rule in words that a model watches."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    prompt: Annotated[str, Field(min_length=1, max_length=10000)]
    execution_mode: ExecutionMode = "streaming"
    model: Name = "gemini-3.1-flash-lite"
    history_message_count: Annotated[int, Field(ge=0, le=100)] = 0
    history_include_tool_calls: bool = False
    trigger_action: TriggerAction = EndCallAction()
    evaluate_full_response_only: bool = False


class CustomGuardrailList(ConfigModel):
    """The rules in order."""

    configs: list[CustomGuardrail] = []


class CustomGuardrails(ConfigModel):
    """The wrapper that the reference puts around the rules."""

    config: CustomGuardrailList = CustomGuardrailList()


class Guardrails(ConfigModel):
    """The block ``platform_settings.guardrails``."""

    version: Literal["1"] = "1"
    focus: Guardrail = Guardrail()
    prompt_injection: Guardrail = Guardrail()
    content: ContentGuardrail = ContentGuardrail()
    moderation: ModerationGuardrail | None = None
    """Of August 2026 and gone from the newest SDK: it holds for agents that have it."""
    custom: CustomGuardrails = CustomGuardrails()
