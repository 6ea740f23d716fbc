"""What was heard and spoken, by provider: what it costs is in `greenline.speech.prices`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields


def _meter() -> defaultdict[str, float]:
    return defaultdict(float)


@dataclass(slots=True)
class SpeechUsage:
    """The meter of a conversation, by names such as ``deepgram:nova-3``.

    Whoever failed in the middle is counted too: it charges for what it got. Seconds are those of sound.
    """

    heard_seconds: defaultdict[str, float] = field(default_factory=_meter)
    """Live speech that was given to a recogniser."""
    transcribed_seconds: defaultdict[str, float] = field(default_factory=_meter)
    """Recordings that a recogniser has heard."""
    spoken_characters: defaultdict[str, float] = field(default_factory=_meter)
    """Text that a synthesiser began to speak."""
    spoken_seconds: defaultdict[str, float] = field(default_factory=_meter)
    """Speech that came of it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not any(getattr(self, meter.name) for meter in fields(self))

    def add(self, other: SpeechUsage) -> None:
        """Count what ``other`` has counted."""
        for meter in fields(self):
            counts = getattr(self, meter.name)
            for name, count in getattr(other, meter.name).items():
                counts[name] += count
