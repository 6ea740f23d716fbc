"""The system tool with which an agent ends a call that a machine has answered (reference: voicemail detection)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from greenline.agents.config import ConversationConfig
from greenline.agents.config.system_tools import VoicemailParams
from greenline.agents.variables import MissingVariables, SecretVariable, render
from greenline.llm.models import ToolSpec
from greenline.tools.models import Text, ToolContext, ToolResult

NAME: Final = "voicemail_detection"
_DESCRIPTION: Final = (
    "Call this at once when a machine has answered instead of the person: a voicemail greeting, a request to leave a "
    "message, a beep. The call ends then; what is to be left on the machine is said for you."
)
_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"reason": {"type": "string", "description": "What shows that it is a machine."}},
    "required": ["reason"],
}

Tell: TypeAlias = Callable[[], None]
"""Called when the agent has found out that a machine has answered."""


@dataclass(frozen=True, slots=True)
class VoicemailDetection:
    """Ends the call, after ``message`` where there is one. ``variables`` fill it in."""

    message: str
    description: str
    variables: Mapping[str, Any] = field(repr=False)
    tell: Tell = field(repr=False)
    type: str = "system"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return ToolSpec(NAME, self.description or _DESCRIPTION, _PARAMETERS)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Leave the message, into which the machine's own words do not cut, and hang up."""
        self.tell()
        reason, result, words = str(arguments.get("reason") or "voicemail"), "A machine has answered.", self.message
        try:
            words = render(self.message, {**self.variables, **context.variables}).strip()
        except (MissingVariables, SecretVariable) as error:
            words, result = "", f"{result} No message was left. {error.message}"
        say = (Text(words),) if words else ()
        return ToolResult(result, say=say, ends="conversation", reason=reason, uninterrupted=True)


def voicemail_tool(
    config: ConversationConfig, variables: Mapping[str, Any], tell: Tell
) -> tuple[VoicemailDetection, ...]:
    """The tool, for an agent that has it."""
    tool = config.agent.prompt.built_in_tools.voicemail_detection
    if tool is None:
        return ()
    message = tool.params.voicemail_message if isinstance(tool.params, VoicemailParams) else None
    return (VoicemailDetection(message or "", tool.description, variables, tell),)
