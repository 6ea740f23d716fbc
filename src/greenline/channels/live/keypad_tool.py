"""The system tool with which an agent presses keys (reference: play keypad touch tone)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from greenline.agents.config import ConversationConfig
from greenline.agents.config.system_tools import KeypadParams
from greenline.channels.webrtc.dtmf import check_keys
from greenline.llm.models import ToolSpec
from greenline.tools.models import ToolContext, ToolResult

NAME: Final = "play_keypad_touch_tone"
MOST_TONES: Final = 60
DTMF_REQUEST: Final = "dtmf_request"
_DESCRIPTION: Final = "Press keys of the telephone's keypad, to go through the menu of a machine that has answered."
_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "dtmf_tones": {
            "type": "string",
            "description": "The keys: 0 to 9, * and #; w waits for half a second, W for one.",
        },
        "reason": {"type": "string", "description": "Why they are pressed."},
    },
    "required": ["dtmf_tones"],
}

Press: TypeAlias = Callable[[str], None]
"""Presses keys. Raises ``ValueError`` with what is wrong with them."""
AskToPress: TypeAlias = Callable[[str, bool], None]
"""Tells a client to press keys, and whether as events beside the sound (RFC 4733) or as tones in it."""


@dataclass(frozen=True, slots=True)
class PlayKeypad:
    """Presses keys. ``description`` is the agent's own, if it gives one.

    ``ends_turn``: nothing is said after the keys (``suppress_turn_after_dtmf``).
    """

    press: Press = field(repr=False)
    description: str = ""
    ends_turn: bool = False
    type: str = "system"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return ToolSpec(NAME, self.description or _DESCRIPTION, _PARAMETERS)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Press them, in the background."""
        tones = arguments.get("dtmf_tones")
        if not isinstance(tones, str) or len(tones) > MOST_TONES:
            return ToolResult(
                f"Give at most {MOST_TONES} tones as text.", is_error=True, error_type="invalid_arguments"
            )
        try:
            self.press(tones)
        except ValueError as error:
            return _refused(str(error))
        return ToolResult(f"The keys {tones} are pressed.", ends="turn" if self.ends_turn else None)


def _refused(text: str) -> ToolResult:
    return ToolResult(text, is_error=True, error_type="invalid_arguments")


def keypad(config: ConversationConfig, press: Press) -> tuple[PlayKeypad, ...]:
    """The tool, for an agent that has it."""
    tool = config.agent.prompt.built_in_tools.play_keypad_touch_tone
    if tool is None:
        return ()
    quiet = isinstance(tool.params, KeypadParams) and tool.params.suppress_turn_after_dtmf
    return (PlayKeypad(press, tool.description, quiet),)


def client_keypad(config: ConversationConfig, ask: AskToPress) -> tuple[PlayKeypad, ...]:
    """The tool of an agent whose client says that it can press keys: it lists the event that asks it to."""
    if DTMF_REQUEST not in config.conversation.client_events:
        return ()
    tool = config.agent.prompt.built_in_tools.play_keypad_touch_tone
    beside = tool is not None and isinstance(tool.params, KeypadParams) and tool.params.use_out_of_band_dtmf

    def press(keys: str) -> None:
        check_keys(keys)
        ask(keys, beside)

    return keypad(config, press)
