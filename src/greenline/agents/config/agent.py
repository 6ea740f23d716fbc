"""What the agent says and in which language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Map
from greenline.agents.config.prompt import PromptConfig
from greenline.agents.config.tool_common import DynamicVariables


class BehaviorOverride(ConfigModel):
    """How the agent writes on one text channel; null takes the channel's own default."""

    verbosity: Literal["auto", "concise", "thorough"] | None = None
    output_format: Literal["plain_text", "markdown"] | None = None
    interaction_budget: Literal["realtime", "5_minutes", "10_minutes", "1_hour"] | None = None


class AgentConfig(ConfigModel):
    """The block ``conversation_config.agent``; ``text_behavior_overrides`` has a channel name as key."""

    first_message: str = ""
    language: Annotated[str, Field(min_length=1)] = "en"
    hinglish_mode: bool = False
    dynamic_variables: DynamicVariables = DynamicVariables()
    disable_first_message_interruptions: bool = False
    max_conversation_duration_message: str = ""
    text_behavior_overrides: Map[BehaviorOverride] = {}
    prompt: PromptConfig = PromptConfig()
