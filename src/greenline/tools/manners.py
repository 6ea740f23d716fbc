"""How an agent behaves around a call of a tool (reference: the shared fields of a tool's configuration)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, Protocol, runtime_checkable

from greenline.agents.config.tool_common import ExecutionMode, InterruptionMode, PreToolSpeech, SoundBehavior
from greenline.tools.models import Tool

NO_SOUND: Final = "off"
"""Of a tool of an MCP server: it has no sound though its server has one (SDK: `McpToolConfigOverrideInput`)."""
_FORCED: Final = "Before you call {names}, say in one short sentence what you are about to do."
_SILENT: Final = "Call {names} without a word before it."


@dataclass(frozen=True, slots=True)
class Manners:
    """``shields``: how long the person can't interrupt. ``words``: whether the agent speaks before the call.

    ``sound`` is heard while the tool runs, after words only unless ``always_sounds``. ``follows_speech``: the tool is
    run once the words before it were heard.
    """

    shields: Literal["tool", "turn"] | None = None
    words: PreToolSpeech = "auto"
    sound: str = ""
    always_sounds: bool = False
    follows_speech: bool = False


PLAIN: Final = Manners()
SHARED: Final = (
    "disable_interruptions",
    "interruption_mode",
    "force_pre_tool_speech",
    "pre_tool_speech",
    "tool_call_sound",
    "tool_call_sound_behavior",
)
"""The settings by their names."""


class ToolSettings(Protocol):
    """The settings of any tool that has them. The booleans are the older form of the two that follow them."""

    @property
    def disable_interruptions(self) -> bool: ...
    @property
    def interruption_mode(self) -> InterruptionMode: ...
    @property
    def force_pre_tool_speech(self) -> bool: ...
    @property
    def pre_tool_speech(self) -> PreToolSpeech: ...
    @property
    def tool_call_sound(self) -> str | None: ...
    @property
    def tool_call_sound_behavior(self) -> SoundBehavior: ...


def manners(settings: ToolSettings, mode: ExecutionMode = "immediate") -> Manners:
    """What the settings of a tool say."""
    shields: Literal["tool", "turn"] | None = "tool" if settings.disable_interruptions else None
    if settings.interruption_mode != "allow":
        shields = "turn" if settings.interruption_mode == "disable_during_tool_and_turn" else "tool"
    words, sound = settings.pre_tool_speech, settings.tool_call_sound
    return Manners(
        shields=shields,
        words="force" if words == "auto" and settings.force_pre_tool_speech else words,
        sound=sound if sound and sound != NO_SOUND else "",
        always_sounds=settings.tool_call_sound_behavior == "always",
        follows_speech=mode == "post_tool_speech",
    )


@runtime_checkable
class Mannered(Protocol):
    """A tool that knows how the agent behaves around it."""

    @property
    def manners(self) -> Manners:
        """Its own."""
        ...


def manners_of(tool: Tool, built_in: Mapping[str, ToolSettings] = MappingProxyType({})) -> Manners:
    """Those of a tool. ``built_in`` are the settings of the agent's built-in tools, by their names."""
    if isinstance(tool, Mannered):
        return tool.manners
    settings = built_in.get(tool.spec.name) if tool.type == "system" else None
    return manners(settings) if settings is not None else PLAIN


def words_before(tools: Mapping[str, Manners]) -> str:
    """What a model that speaks is told of its words before calls of ``tools``, by their names."""
    lines = []
    for sentence, wanted in ((_FORCED, "force"), (_SILENT, "off")):
        if names := ", ".join(name for name, found in tools.items() if found.words == wanted):
            lines.append(sentence.format(names=names))
    return " ".join(lines)
