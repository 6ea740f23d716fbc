"""What the doctor is told of speech."""

from __future__ import annotations

import asyncio
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from greenline.clock import ManualClock
from greenline.errors import ConfigurationError
from greenline.settings import Settings
from greenline.speech.checks import SpeechCheck, check_speech


async def test_what_is_embedded_is_loaded(clock: ManualClock) -> None:
    checks = await check_speech(Settings(_env_file=None), clock, {})
    assert checks == [SpeechCheck("hearing", "embedded"), SpeechCheck("speaking", "embedded")]


async def test_a_provider_that_answers_anything_is_reached_and_one_that_is_not_there_is_not(
    clock: ManualClock,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as there:
        url = f"http://127.0.0.1:{there.sockets[0].getsockname()[1]}"
        settings = Settings(
            _env_file=None,
            stt="here",
            tts="gone",
            speech_base_urls={"here": url, "gone": "http://127.0.0.1:9"},
        )
        hearing, speaking = await check_speech(settings, clock, {})
    assert hearing.name.startswith("here:")
    assert hearing.trouble is None
    assert speaking.name.startswith("gone:")
    assert speaking.trouble is not None
    assert "http://127.0.0.1:9 does not answer" in speaking.trouble


async def test_a_provider_without_its_key_is_told(clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match="DEEPGRAM_API_KEY"):
        await check_speech(Settings(_env_file=None, stt="deepgram"), clock, {})


async def test_what_does_not_load_is_told_of_who_hears_and_not_of_who_speaks(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = ModuleType("faster_whisper")
    library.__spec__ = ModuleSpec("faster_whisper", None)
    monkeypatch.setattr(library, "WhisperModel", lambda *_, **__: int("no weights"), raising=False)
    monkeypatch.setitem(sys.modules, "faster_whisper", library)
    (tmp_path / "model.bin").write_bytes(b"junk")
    (tmp_path / "tokenizer.json").write_text("{}")
    hearing, speaking = await check_speech(Settings(_env_file=None, stt="whisper", whisper_model=tmp_path), clock, {})
    assert hearing.name == "whisper"
    assert hearing.trouble is not None
    assert "no weights" in hearing.trouble
    assert speaking == SpeechCheck("speaking", "embedded")
