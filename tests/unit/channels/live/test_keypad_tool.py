from __future__ import annotations

from typing import Any

import pytest

from greenline.channels.live.keypad_tool import PlayKeypad
from greenline.channels.webrtc.opus import FRAME_SECONDS
from greenline.channels.webrtc.send import OpusOut
from greenline.tools.models import ToolContext

CONTEXT = ToolContext("conv_1", "msg_1:call_1")


async def test_keys_are_pressed() -> None:
    out = OpusOut()
    out.event_payload_type = 126
    result = await PlayKeypad(out.press).run({"dtmf_tones": "1w#", "reason": "menu"}, CONTEXT)
    assert (result.is_error, result.ends) == (False, None)
    assert out.queued == pytest.approx((2 * 16 + 25) * FRAME_SECONDS)
    assert (await PlayKeypad(out.press, ends_turn=True).run({"dtmf_tones": "1"}, CONTEXT)).ends == "turn"
    out.stop()


@pytest.mark.parametrize("tones", [None, 12, "", "x", "1" * 61])
async def test_what_no_keypad_has_is_told_to_the_model(tones: Any) -> None:
    out = OpusOut()
    out.event_payload_type = 126
    assert (await PlayKeypad(out.press).run({"dtmf_tones": tones}, CONTEXT)).is_error
    out.stop()


async def test_a_side_without_a_keypad_is_told_to_the_model() -> None:
    out = OpusOut()
    result = await PlayKeypad(out.press).run({"dtmf_tones": "1"}, CONTEXT)
    assert result.text == "The other side takes no keypad digits."
    out.stop()


def test_the_agents_own_description_is_used() -> None:
    assert PlayKeypad(print, "Only for the bank.").spec.description == "Only for the bank."
