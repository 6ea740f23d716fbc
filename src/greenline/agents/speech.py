"""What an agent's configuration asks of recognition and synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from greenline.agents.config import ConversationConfig
from greenline.speech.models import RecognitionOptions, Voice

FAMILIES: Final[Mapping[str, str]] = {
    "turbo": "eleven_turbo_v2_5",
    "flash": "eleven_flash_v2_5",
    "multilingual": "eleven_multilingual_v2",
    "v3_conversational": "eleven_v3_conversational",
    "v4": "eleven_v4",
    "v4_turbo": "eleven_v4_turbo",
}
"""The reference's models by their families, in the version that speaks every language."""
ENGLISH_ONLY: Final = frozenset({"eleven_flash_v2", "eleven_turbo_v2"})
_REFERENCE: Final = "eleven_"


def recognition_of(config: ConversationConfig) -> RecognitionOptions:
    """The provider, language and preferred words of ``asr`` and ``agent``, and the languages it may switch to."""
    asr, agent = config.asr, config.agent
    may_switch = agent.prompt.built_in_tools.language_detection is not None
    others = tuple(code for code in config.language_presets if code != agent.language) if may_switch else ()
    return RecognitionOptions(asr.provider, agent.language or None, tuple(asr.keywords), others)


def voice_of(config: ConversationConfig) -> Voice:
    """The voice of ``tts``; which provider speaks with it, the server's settings decide."""
    tts = config.tts
    language = config.agent.language or None
    return Voice(
        voice_id=tts.voice_id,
        model_id=_fit_for(language, tts.model_id),
        language=language,
        speed=tts.speed,
        stability=tts.stability,
        similarity_boost=tts.similarity_boost,
        dictionaries=tuple(
            (found.pronunciation_dictionary_id, found.version_id) for found in tts.pronunciation_dictionary_locators
        ),
        normalise=tts.text_normalisation_type == "elevenlabs",
    )


def voices_of(config: ConversationConfig) -> dict[str, Voice]:
    """The further voices of ``tts.supported_voices`` by their labels; what one leaves open is as in `voice_of`."""
    own = voice_of(config)
    found = {}
    for voice in config.tts.supported_voices:
        language = voice.language or own.language
        found[voice.label] = replace(
            own,
            voice_id=voice.voice_id,
            model_id=_fit_for(language, _of_family(voice.model_family, own.model_id)),
            language=language,
            speed=own.speed if voice.speed is None else voice.speed,
            stability=own.stability if voice.stability is None else voice.stability,
            similarity_boost=own.similarity_boost if voice.similarity_boost is None else voice.similarity_boost,
        )
    return found


def labels_of(agent: ConversationConfig, present: ConversationConfig) -> frozenset[str]:
    """The labels of further voices in any language of ``agent``, and in the ``present`` one with its overrides.

    A model that has read those of the language before writes them on.
    """
    presets = (preset.overrides.tts for preset in agent.language_presets.values())
    in_presets = (voice for tts in presets if tts is not None for voice in tts.supported_voices or ())
    voices = (*agent.tts.supported_voices, *present.tts.supported_voices, *in_presets)
    return frozenset(voice.label for voice in voices)


def _fit_for(language: str | None, model_id: str) -> str:
    """The model, or its next version where it speaks English only and the voice another language."""
    is_english = language is None or language.partition("-")[0] == "en"
    return model_id if is_english or model_id not in ENGLISH_ONLY else f"{model_id}_5"


def _of_family(family: str | None, model_id: str) -> str:
    """The agent's own model, unless it is one of the reference's and of another family."""
    model = FAMILIES.get(family or "", model_id)
    is_same = model.removesuffix("_5") == model_id.removesuffix("_5")
    return model if model_id.startswith(_REFERENCE) and not is_same else model_id
