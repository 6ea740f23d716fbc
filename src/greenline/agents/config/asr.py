"""Speech recognition."""

from __future__ import annotations

from typing import Literal, TypeAlias

from greenline.agents.config.base import ConfigModel, Name

AudioFormat: TypeAlias = Literal[
    "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000", "ulaw_8000"
]


class AsrConfig(ConfigModel):
    """How speech becomes text. ``keywords`` are words that recognition should prefer."""

    quality: Literal["high"] = "high"
    provider: Name = "scribe_realtime"
    user_input_audio_format: AudioFormat = "pcm_16000"
    keywords: list[str] = []
