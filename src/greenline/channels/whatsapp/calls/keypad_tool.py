"""The system tool with which an agent presses keys in a call (reference: play keypad touch tone)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greenline.channels.whatsapp.calls.agent import CallOut
from greenline.llm.models import ToolSpec
from greenline.tools.models import ToolContext, ToolResult

NAME: Final = "play_keypad_touch_tone"
MOST_TONES: Final = 60
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


@dataclass(frozen=True, slots=True)
class PlayKeypad:
    """Presses keys in one call. ``description`` is the agent's own, if it gives one.

    ``ends_turn``: nothing is said after the keys (``suppress_turn_after_dtmf``).
    """

    out: CallOut = field(repr=False)
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
            return ToolResult(f"Give at most {MOST_TONES} tones as text.", is_error=True, error_type="arguments")
        try:
            self.out.press(tones)
        except ValueError as error:
            return ToolResult(str(error), is_error=True, error_type="arguments")
        return ToolResult(f"The keys {tones} are pressed.", ends="turn" if self.ends_turn else None)
