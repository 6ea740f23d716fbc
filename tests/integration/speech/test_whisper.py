from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from greenline.speech.errors import RecognitionError, SpeechNotConfigured
from greenline.speech.models import RecognitionOptions
from greenline.speech.notes import encode_note
from greenline.speech.whisper import WhisperRecogniser
from support.coded_speech import coded, decoded
from support.sounds import sine
from support.wait import eventually

OPTIONS = RecognitionOptions(language="pt-br", keywords=("Monstera", "Calathea"))


class Model:
    """What is used of faster-whisper's ``WhisperModel``, hearing coded speech: real weights are gigabytes."""

    def __init__(self, path: str, **how: Any) -> None:
        assert how == {"device": "cpu", "compute_type": "int8", "local_files_only": True}
        if (Path(path) / "model.bin").read_bytes() != b"weights":
            raise RuntimeError("Unsupported model binary version")

    def transcribe(self, samples: Any, **how: Any) -> tuple[Iterator[SimpleNamespace], None]:
        assert samples.dtype == np.float32
        assert (how["language"], how["hotwords"]) == ("pt", "Monstera Calathea")
        words = decoded((samples * 32_768).astype("<i2").tobytes()).split()
        return (SimpleNamespace(text=f" {word}") for word in words), None


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    library = ModuleType("faster_whisper")
    library.__spec__ = ModuleSpec("faster_whisper", None)
    monkeypatch.setattr(library, "WhisperModel", Model, raising=False)
    monkeypatch.setitem(sys.modules, "faster_whisper", library)
    (tmp_path / "model.bin").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


async def test_utterances_are_heard_one_by_one(weights: Path) -> None:
    whisper = WhisperRecogniser(weights)
    stream = await whisper.open(OPTIONS)
    for text in ("where is my order", "yes"):
        stream.push(coded(text))
        assert await stream.finish() == text
    await whisper.aclose()


async def test_a_recording_is_heard(weights: Path) -> None:
    whisper = WhisperRecogniser(weights)
    transcript = await whisper.transcribe(encode_note(sine(1.0, 16_000), 16_000).data, "audio/ogg", OPTIONS)
    assert transcript.seconds == pytest.approx(1.0, abs=0.01)
    assert transcript.provider == "whisper"
    await whisper.aclose()


async def test_the_weights_are_loaded_before_somebody_speaks(weights: Path) -> None:
    whisper = WhisperRecogniser(weights)
    await whisper.warm()
    (weights / "model.bin").write_bytes(b"replaced meanwhile")
    stream = await whisper.open(OPTIONS)
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await whisper.aclose()


async def test_weights_that_are_none_are_told(weights: Path) -> None:
    (weights / "model.bin").write_bytes(b"junk")
    with capture_logs() as logs:
        whisper = WhisperRecogniser(weights)
        await eventually(lambda: bool(logs))
    assert (logs[0]["event"], logs[0]["error"]) == ("speech.not_loaded", "Unsupported model binary version")
    with pytest.raises(RecognitionError, match="whisper: Unsupported model"):
        await whisper.warm()
    stream = await whisper.open(OPTIONS)
    stream.push(coded("yes"))
    with pytest.raises(RecognitionError, match="whisper: Unsupported model"):
        await stream.finish()
    await whisper.aclose()


@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json"])
def test_a_folder_without_weights_names_the_setting(weights: Path, missing: str) -> None:
    (weights / missing).unlink()
    with pytest.raises(SpeechNotConfigured, match=f"GREENLINE_WHISPER_MODEL must be a folder.*{missing}"):
        WhisperRecogniser(weights)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    (tmp_path / "model.bin").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(SpeechNotConfigured, match="install faster-whisper"):
        WhisperRecogniser(tmp_path)
