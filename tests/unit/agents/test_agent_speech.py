"""From an agent's configuration to what recognisers and voices are asked for."""

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import recognition_of, voice_of
from greenline.speech.models import RecognitionOptions, Voice


def test_an_agent_without_wishes_speaks_english_with_the_reference_s_defaults() -> None:
    config = ConversationConfig()
    assert recognition_of(config) == RecognitionOptions("scribe_realtime", "en", ())
    assert voice_of(config) == Voice("", "cjVigY5qzO86Huf0OWal", "eleven_flash_v2", "en", 1.0, 0.5, 0.8)


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
    assert voice_of(config) == Voice("", "alba", "tts-1", "de", 1.1, 0.2, 0.3, (("dict_1", None),), normalise=True)
