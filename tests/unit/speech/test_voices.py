from __future__ import annotations

import pytest

from greenline.speech.voices import provider_voice

REFERENCE = "cjVigY5qzO86Huf0OWal"


@pytest.mark.parametrize(
    ("mapping", "provider", "voice_id", "voice"),
    [
        ({}, "elevenlabs", REFERENCE, REFERENCE),
        ({}, "openai", REFERENCE, ""),
        ({}, "openai", "nova", "nova"),
        ({}, "openai", "", ""),
        ({REFERENCE: "openai:nova"}, "openai", REFERENCE, "nova"),
        ({REFERENCE: "openai:nova"}, "deepgram", REFERENCE, ""),
        ({REFERENCE: "openai:nova", "*": "deepgram:aura-2-zeus-en"}, "deepgram", REFERENCE, "aura-2-zeus-en"),
        ({"*": "shimmer"}, "openai", REFERENCE, "shimmer"),
    ],
)
def test_a_voice_is_found_at_the_provider_that_speaks(
    mapping: dict[str, str], provider: str, voice_id: str, voice: str
) -> None:
    assert provider_voice(mapping, provider, voice_id) == voice
