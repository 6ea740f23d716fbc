"""What an agent's configuration asks of recognition and synthesis."""

from __future__ import annotations

from dataclasses import replace

from greenline.agents.config import ConversationConfig
from greenline.speech.models import RecognitionOptions, Voice


def recognition_of(config: ConversationConfig) -> RecognitionOptions:
    """The provider, language and preferred words of ``asr`` and ``agent``."""
    asr = config.asr
    return RecognitionOptions(asr.provider, config.agent.language or None, tuple(asr.keywords))


def voices_of(config: ConversationConfig) -> dict[str, Voice]:
    """The further voices of ``tts.supported_voices`` by their labels; what one leaves open is as in `voice_of`."""
    own = voice_of(config)
    return {
        voice.label: replace(
            own,
            voice_id=voice.voice_id,
            language=voice.language or own.language,
            speed=own.speed if voice.speed is None else voice.speed,
            stability=own.stability if voice.stability is None else voice.stability,
            similarity_boost=own.similarity_boost if voice.similarity_boost is None else voice.similarity_boost,
        )
        for voice in config.tts.supported_voices
    }


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
