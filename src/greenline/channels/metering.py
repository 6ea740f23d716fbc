"""What hearing and speaking used, as an event of the journal."""

from __future__ import annotations

from collections.abc import Mapping

from greenline.conversations.events import SpeechUsed
from greenline.speech.prices import usage_price
from greenline.speech.usage import SpeechUsage


def speech_used(usage: SpeechUsage) -> SpeechUsed:
    """The event, with the price as of now."""
    return SpeechUsed(
        heard_seconds=_rounded(usage.heard_seconds),
        transcribed_seconds=_rounded(usage.transcribed_seconds),
        spoken_seconds=_rounded(usage.spoken_seconds),
        spoken_characters={name: int(count) for name, count in usage.spoken_characters.items()},
        price=usage_price(usage),
    )


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(count, 3) for name, count in seconds.items()}
