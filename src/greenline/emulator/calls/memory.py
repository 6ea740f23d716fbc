"""Which calls that are over are remembered, and with how much of their sound."""

from __future__ import annotations

from greenline.emulator.calls.call import Call
from greenline.emulator.config import Config


def forget(calls: dict[str, Call], config: Config) -> None:
    """Keep the newest calls that are over, and of these the sound of the newest that fit."""
    over = [call for call in calls.values() if call.state == "ended"]
    kept = over[-config.kept_calls :]
    for call in over[: -config.kept_calls]:
        del calls[call.id]
    left = config.kept_sound_seconds
    for call in reversed(kept):
        left -= call.heard_seconds
        if left < 0:
            call.forget_sound()
