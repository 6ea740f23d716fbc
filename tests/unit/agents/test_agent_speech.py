"""From an agent's configuration to what recognisers and voices are asked for."""

from typing import Any

import pytest

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import recognition_of, voice_of, voices_of
from greenline.speech.models import RecognitionOptions, Voice


def test_an_agent_without_wishes_speaks_english_with_the_reference_s_defaults() -> None:
    config = ConversationConfig()
    assert recognition_of(config) == RecognitionOptions("scribe_realtime", "en", ())
    assert voice_of(config) == Voice("cjVigY5qzO86Huf0OWal", "eleven_flash_v2", "en", 1.0, 0.5, 0.8)


def test_an_agent_s_wishes_are_passed_on() -> None:
    config = ConversationConfig.model_validate(
        {
            "agent": {"language": "de"},
            "asr": {"provider": "deepgram", "keywords": ["Monstera"]},
            "tts": {
                "voice_id": "alba",
                "model_id": "tts-1",
                "speed": 1.1,
                "stability": 0.2,
                "similarity_boost": 0.3,
                "text_normalisation_type": "elevenlabs",
                "pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "dict_1"}],
            },
        }
    )
    assert recognition_of(config) == RecognitionOptions("deepgram", "de", ("Monstera",))
    assert voice_of(config) == Voice("alba", "tts-1", "de", 1.1, 0.2, 0.3, (("dict_1", None),), normalise=True)


@pytest.mark.parametrize(("tools", "others"), [({"language_detection": {}}, ("de", "fr")), ({}, ())])
def test_the_languages_of_an_agent_that_may_switch_are_all_heard(tools: object, others: tuple[str, ...]) -> None:
    presets: dict[str, Any] = {code: {"overrides": {}} for code in ("de", "en", "fr")}
    agent = {"prompt": {"built_in_tools": tools}}
    config = ConversationConfig.model_validate({"language_presets": presets, "agent": agent})
    assert recognition_of(config) == RecognitionOptions("scribe_realtime", "en", (), others)


def test_a_further_voice_is_like_the_agent_s_own_but_for_its_wishes() -> None:
    config = ConversationConfig.model_validate(
        {
            "tts": {
                "model_id": "eleven_flash_v2",
                "speed": 1.1,
                "supported_voices": [
                    {"label": "Joe", "voice_id": "joe", "model_family": "flash", "stability": 0.9},
                    {"label": "Eva", "voice_id": "eva", "language": "de", "speed": 0.8, "similarity_boost": 0.1},
                    {"label": "Max", "voice_id": "max", "model_family": "v4"},
                ],
            }
        }
    )
    assert voices_of(config) == {
        "Joe": Voice("joe", "eleven_flash_v2", "en", 1.1, 0.9, 0.8),
        "Eva": Voice("eva", "eleven_flash_v2_5", "de", 0.8, 0.5, 0.1),  # the other speaks English only
        "Max": Voice("max", "eleven_v4", "en", 1.1, 0.5, 0.8),
    }


@pytest.mark.parametrize("model_id", ["deepgram:aura-2", "tts-1"])
def test_families_of_the_reference_mean_nothing_to_models_of_others(model_id: str) -> None:
    joe = {"label": "Joe", "voice_id": "joe", "model_family": "v4"}
    config = ConversationConfig.model_validate({"tts": {"model_id": model_id, "supported_voices": [joe]}})
    assert voices_of(config)["Joe"].model_id == model_id
