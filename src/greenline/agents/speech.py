"""What an agent's configuration asks of recognition and synthesis."""

from __future__ import annotations

from greenline.agents.config import ConversationConfig
from greenline.speech.models import RecognitionOptions, Voice


def recognition_of(config: ConversationConfig) -> RecognitionOptions:
    """The provider, language and preferred words of ``asr`` and ``agent``."""
    asr = config.asr
    return RecognitionOptions(asr.provider, config.agent.language or None, tuple(asr.keywords))


def voice_of(config: ConversationConfig) -> Voice:
    """The voice of ``tts``; which provider speaks with it, the server's settings decide."""
    tts = config.tts
    return Voice(
        voice_id=tts.voice_id,
        model_id=tts.model_id,
        language=config.agent.language or None,
        speed=tts.speed,
        stability=tts.stability,
        similarity_boost=tts.similarity_boost,
        dictionaries=tuple(
            (found.pronunciation_dictionary_id, found.version_id) for found in tts.pronunciation_dictionary_locators
        ),
        normalise=tts.text_normalisation_type == "elevenlabs",
    )
