"""Figures of speech, by provider. Models are left out: agents name them, and there would be no end of series."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6)

HEARD: Final = Counter("greenline_speech_heard_seconds", "Speech and recordings that were recognised", ["provider"])
SPOKEN: Final = Counter("greenline_speech_spoken_seconds", "Speech that was synthesised", ["provider"])
FAILURES: Final = Counter("greenline_speech_failures", "Times that a provider failed", ["provider"])
TEXT_AFTER: Final = Histogram(
    "greenline_speech_text_seconds", "From the end of an utterance to its text", ["provider"], buckets=_BUCKETS
)
SOUND_AFTER: Final = Histogram(
    "greenline_speech_sound_seconds", "From a sentence to its first sound", ["provider"], buckets=_BUCKETS
)


def provider_of(name: str) -> str:
    """The provider in a name such as ``deepgram:nova-3``."""
    return name.partition(":")[0]
