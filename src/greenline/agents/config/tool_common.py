"""What the tools of an agent share."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Integer, Map, Name

ToolName: TypeAlias = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]

ServiceSeconds: TypeAlias = Annotated[int, Field(ge=5, le=300)]
"""How long a tool that asks a service may take."""
ExecutionMode: TypeAlias = Literal["immediate", "post_tool_speech", "async"]
InterruptionMode: TypeAlias = Literal["allow", "disable_during_tool", "disable_during_tool_and_turn"]
PreToolSpeech: TypeAlias = Literal["auto", "force", "off"]
SoundBehavior: TypeAlias = Literal["auto", "always"]


class DynamicVariableAssignment(ConfigModel):
    """Writes a part of a tool's answer to a dynamic variable.

    ``value_path`` is dotted, with numbers for list items: ``data.items.0.id``. ``sanitize`` hides the value from
    the model and the transcript.
    """

    source: Literal["response"] = "response"
    dynamic_variable: str
    value_path: str
    sanitize: bool = False
    preserve_native_type: bool = False


class DynamicVariables(ConfigModel):
    """Values that fill placeholders in tests from a dashboard; a real start must bring its own."""

    dynamic_variable_placeholders: Map[Any] = {}


class ToolBase(ConfigModel):
    """Fields of every tool. ``disable_interruptions`` and ``force_pre_tool_speech`` are older booleans."""

    name: ToolName
    response_timeout_secs: Integer = 20
    disable_interruptions: bool = False
    interruption_mode: InterruptionMode = "allow"
    force_pre_tool_speech: bool = False
    pre_tool_speech: PreToolSpeech = "auto"
    assignments: list[DynamicVariableAssignment] = []
    tool_call_sound: Name | None = None
    tool_call_sound_behavior: SoundBehavior = "auto"
    tool_error_handling_mode: Literal["auto", "summarized", "passthrough", "hide"] = "auto"
