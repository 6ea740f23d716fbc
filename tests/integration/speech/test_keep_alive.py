"""A sentence does not begin with the handshake of a connection, also where a person has spoken in between."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from greenline.llm.sdk import Address as SdkAddress
from greenline.speech.deepgram import DeepgramSynthesiser
from greenline.speech.http import Address
from greenline.speech.models import Voice
from greenline.speech.openai import OpenAiSynthesiser
from support.speech_http import Answer, speech_http
from support.voice import tone
from support.wait import PATIENCE_SECONDS

SOUND = Answer([tone(0.2)])


@pytest.mark.parametrize("provider", ["deepgram", "openai"])
async def test_the_connection_of_a_voice_outlives_what_the_person_says(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later)
    monkeypatch.setattr("httpcore2._async.http11.time", clock)
    connections = []
    async with speech_http(SOUND) as server:
        voice: DeepgramSynthesiser | OpenAiSynthesiser
        if provider == "deepgram":
            voice = DeepgramSynthesiser("aura", Address(server.url), seconds=PATIENCE_SECONDS, voices={})
        else:
            voice = OpenAiSynthesiser("box", "tts", SdkAddress(server.url), seconds=PATIENCE_SECONDS, voices={})
        for pause in (0.0, 50.0, 60.0):
            later += pause
            assert [chunk async for chunk in voice.say("Hello", Voice())]
            connections.append(server.connections)
        await voice.aclose()
    assert connections == [1, 1, 2]
