"""Turn taking in a voice conversation. All times are in seconds; -1 turns a timer off."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Name

FillerMessage = Annotated[str, Field(min_length=1, max_length=200)]


class SoftTimeoutConfig(ConfigModel):
    """What is said while the model is slow."""

    timeout_seconds: float = -1.0
    message: FillerMessage = "Hhmmmm...yeah."
    additional_soft_timeout_messages: Annotated[list[str], Field(max_length=7)] = []
    use_llm_generated_message: bool = False
    randomize_fillers: bool = False
    max_soft_timeouts_per_generation: Annotated[int, Field(ge=1, le=8)] = 1
    llm_generated_message_prompt_override: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    disable_until_first_user_message: bool = False


class TurnConfig(ConfigModel):
    """When the agent speaks, waits and gives up."""

    turn_timeout: float = 7.0
    initial_wait_time: float | None = None
    silence_end_call_timeout: float = -1
    turn_eagerness: Literal["patient", "normal", "eager"] = "normal"
    spelling_patience: Literal["auto", "off"] = "auto"
    speculative_turn: bool = False
    retranscribe_on_turn_timeout: bool = False
    turn_model: Name = "turn_v3"
    interruption_ignore_terms: list[str] = []
    interruption_ignore_term_languages: list[str] = []
    merge_with_default_ignore_terms: bool = False
    transcribe_on_disabled_interruptions: bool = False
    soft_timeout_config: SoftTimeoutConfig = SoftTimeoutConfig()
    noisy_environment_detection: bool = False
    noisy_environment_message: str | None = None
