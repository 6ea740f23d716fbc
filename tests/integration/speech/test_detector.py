from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenline.speech.detector import GatedDetector, OnnxDetector, open_session
from greenline.speech.errors import SpeechNotConfigured
from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import HEARING_RATE, Voice
from greenline.speech.resample import resample
from support.sounds import mixed, noise, rms, sine

WINDOW = 512 / HEARING_RATE


@pytest.fixture
async def sentence() -> bytes:
    """A sentence of about two seconds between a second of silence on each side."""
    voice = EspeakSynthesiser()
    pcm = b"".join([chunk.pcm async for chunk in voice.say("Could you tell me where my order is?", Voice())])
    await voice.aclose()
    silence = bytes(HEARING_RATE * 2)
    return silence + resample(pcm, voice.rate, HEARING_RATE) + silence


def voiced_times(scores: list[float]) -> list[float]:
    return [place * WINDOW for place, score in enumerate(scores) if score > 0.5]


@pytest.mark.parametrize("snr", [None, 20, 10])
def test_voice_is_found_from_its_beginning_to_its_end(sentence: bytes, snr: int | None) -> None:
    sound = sentence
    length = len(sound) / 2 / HEARING_RATE
    if snr is not None:
        sound = mixed(sound, noise(length, HEARING_RATE, amplitude=rms(sentence) / 10 ** (snr / 20)))
    found = voiced_times(GatedDetector().score(sound))
    assert 0.9 < found[0] < 1.25
    assert length - 1.6 < found[-1] < length - 0.7
    assert len(found) * WINDOW > 0.6 * (length - 2)


@pytest.mark.parametrize("sound", [bytes(64_000), noise(2.0, HEARING_RATE, amplitude=2_000), sine(2.0, HEARING_RATE)])
def test_what_is_no_voice_is_not_found(sound: bytes) -> None:
    assert voiced_times(GatedDetector().score(sound)) == []


def test_pieces_of_any_size_give_one_score_for_each_whole_window(sentence: bytes) -> None:
    whole = GatedDetector().score(sentence)
    detector = GatedDetector()
    pieces = [score for at in range(0, len(sentence), 642) for score in detector.score(sentence[at : at + 642])]
    assert len(whole) == len(sentence) // 1_024
    assert pieces == whole


class Loudness:
    """A model of the same shape as Silero that takes a loud window for voice, and counts its windows in its state."""

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
        assert inputs["input"].shape == (1, 64 + 512)
        assert inputs["input"].dtype == np.float32
        assert inputs["state"].shape == (2, 1, 128)
        assert inputs["sr"] == HEARING_RATE
        loud = np.abs(inputs["input"][:, 64:]).max(keepdims=True)
        return [loud + np.abs(inputs["input"][:, :64]).max() * 10, inputs["state"] + 1]


def test_the_onnx_model_gets_each_window_after_the_end_of_the_one_before() -> None:
    detector = OnnxDetector(Loudness())
    sound = bytes(1_024) + np.full(512, 16_384, "<i2").tobytes() + bytes(1_024) + bytes(1_024)
    assert detector.score(sound[:100]) + detector.score(sound[100:]) == [0.0, 0.5, 5.0, 0.0]
    assert detector._state.max() == 4


def test_a_model_without_its_runtime_names_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SpeechNotConfigured, match="GREENLINE_VAD_MODEL needs onnxruntime"):
        open_session(tmp_path / "silero.onnx")
