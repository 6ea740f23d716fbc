from __future__ import annotations

import re
from typing import Any

import pytest

from greenline.speech.catalog import PROVIDERS
from greenline.speech.prices import price_of, usage_price
from greenline.speech.usage import SpeechUsage


def usage(**meters: dict[str, float]) -> SpeechUsage:
    counted = SpeechUsage()
    for meter, counts in meters.items():
        getattr(counted, meter).update(counts)
    return counted


@pytest.mark.parametrize(
    ("meters", "dollars"),
    [
        ({}, 0.0),
        ({"heard_seconds": {"deepgram:nova-3": 60.0}}, 0.0048),
        ({"transcribed_seconds": {"deepgram:nova-3": 60.0}}, 0.0077),
        ({"transcribed_seconds": {"openai:whisper-1": 30.0}}, 0.003),
        ({"spoken_characters": {"elevenlabs:eleven_flash_v2_5": 2_000}}, 0.10),
        (
            {
                "spoken_characters": {"openai:gpt-4o-mini-tts": 900},
                "spoken_seconds": {"openai:gpt-4o-mini-tts": 60.0},
            },
            0.015,
        ),
        (
            {
                "heard_seconds": {"embedded": 600.0, "whisper": 10.0},
                "spoken_characters": {"embedded": 10_000},
                "spoken_seconds": {"embedded": 100.0},
            },
            0.0,
        ),
        ({"heard_seconds": {"my-box:whisper": 60.0}}, None),
        ({"spoken_characters": {"deepgram:aura-1-x": 1.0}}, None),
        ({"spoken_characters": {"deepgram:aura-2-thalia-en": 1_000}, "heard_seconds": {"?": 1.0}}, None),
    ],
)
def test_what_was_used_has_its_price_or_none(meters: dict[str, Any], dollars: float | None) -> None:
    found = usage_price(usage(**meters))
    assert found == (None if dollars is None else pytest.approx(dollars))


def test_the_default_model_of_every_provider_has_a_dated_price() -> None:
    for provider, info in PROVIDERS.items():
        for model in (info.stt, info.tts):
            price = price_of(f"{provider}:{model}")
            assert price is not None, f"{provider}:{model}"
            assert re.fullmatch(r"20\d\d-\d\d", price.on)
