"""Makes the adapter for a target: which class speaks to which provider, with which address and key."""

from __future__ import annotations

from collections.abc import Mapping

from greenline.llm.sdk import Address as SdkAddress
from greenline.settings import Settings
from greenline.speech.catalog import SpeechCatalog, Target, key_names
from greenline.speech.deepgram import DeepgramRecogniser, DeepgramSynthesiser
from greenline.speech.elevenlabs import ElevenLabsRecogniser, ElevenLabsSynthesiser
from greenline.speech.errors import SpeechNotConfigured
from greenline.speech.espeak import DEFAULT_VOICE, EspeakProcess, EspeakSynthesiser
from greenline.speech.flux import FluxRecogniser
from greenline.speech.http import RECORDING_SECONDS, Address
from greenline.speech.models import Recogniser, Synthesiser
from greenline.speech.openai import OpenAiRecogniser, OpenAiSynthesiser
from greenline.speech.phrases import read_phrases
from greenline.speech.sphinx import SphinxRecogniser
from greenline.speech.whisper import WhisperRecogniser


def make_recogniser(target: Target, catalog: SpeechCatalog, settings: Settings) -> Recogniser:
    """The recogniser of ``target``. Raises `SpeechNotConfigured` for one that lacks a key or weights."""
    seconds = settings.speech_timeout_seconds
    match target.provider:
        case "embedded":
            return SphinxRecogniser(read_phrases(settings.stt_phrases) if settings.stt_phrases else None)
        case "whisper":
            return WhisperRecogniser(settings.whisper_model)
        case "deepgram":
            kind = FluxRecogniser if target.model.startswith("flux") else DeepgramRecogniser
            return kind(target.model, _deepgram(catalog), seconds=seconds)
        case "elevenlabs":
            return ElevenLabsRecogniser(target.model, _elevenlabs(catalog), seconds=seconds)
        case provider:
            return OpenAiRecogniser(provider, target.model, _openai(provider, catalog), seconds=RECORDING_SECONDS)


def make_synthesiser(
    target: Target, catalog: SpeechCatalog, settings: Settings, espeak: EspeakProcess
) -> Synthesiser:
    """The synthesiser of ``target``. Raises `SpeechNotConfigured` for one that lacks a key.

    ``espeak`` is the process that all embedded voices share.
    """
    seconds, voices = settings.speech_timeout_seconds, settings.voice_map
    match target.provider:
        case "embedded":
            return EspeakSynthesiser(target.model or DEFAULT_VOICE, espeak)
        case "deepgram":
            return DeepgramSynthesiser(target.model, _deepgram(catalog), seconds=seconds, voices=voices)
        case "elevenlabs":
            return ElevenLabsSynthesiser(target.model, _elevenlabs(catalog), seconds=seconds, voices=voices)
        case provider:
            return OpenAiSynthesiser(
                provider, target.model, _openai(provider, catalog), seconds=seconds, voices=voices
            )


def _deepgram(catalog: SpeechCatalog) -> Address:
    return Address(catalog.url("deepgram"), _header(catalog, "deepgram", "Authorization", "Token "))


def _elevenlabs(catalog: SpeechCatalog) -> Address:
    return Address(catalog.url("elevenlabs"), _header(catalog, "elevenlabs", "xi-api-key", ""))


def _openai(provider: str, catalog: SpeechCatalog) -> SdkAddress:
    own = provider in catalog.base_urls  # a server of one's own may want no key
    key = catalog.keys.get(provider)
    if key is None and not own:
        raise _no_key(provider)
    return SdkAddress(catalog.url(provider), key)


def _header(catalog: SpeechCatalog, provider: str, name: str, prefix: str) -> Mapping[str, str]:
    key = catalog.keys.get(provider)
    if key is None:
        if provider in catalog.base_urls:
            return {}
        raise _no_key(provider)
    return {name: prefix + key}


def _no_key(provider: str) -> SpeechNotConfigured:
    return SpeechNotConfigured(provider, f"{key_names(provider)[0]} is not set")
