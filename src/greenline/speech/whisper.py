"""Whisper on this machine through faster-whisper, with weights that the operator has put there."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import structlog

from greenline.speech.buffered import BufferedStream
from greenline.speech.errors import RecognitionError, SpeechNotConfigured
from greenline.speech.models import RecognitionOptions, RecognitionStream, Transcript
from greenline.speech.notes import decode_recording

log = structlog.get_logger(__name__)

NAME: Final = "whisper"
_LIBRARY: Final = "faster_whisper"
_FILES: Final = ("model.bin", "tokenizer.json")
"""Without the second the library would look for one on the internet, whatever it was told of local files."""
T = TypeVar("T")

THREADS: Final = 1
"""The library spreads one utterance over the cores; two at once take turns."""


class WhisperRecogniser:
    """A `Recogniser` that is asked once for each utterance.

    The weights begin to load when it is made: nobody's time limit is to pay for the seconds that takes.
    """

    name = NAME

    def __init__(self, weights: Path | None) -> None:
        """Raises `SpeechNotConfigured` when there is no such folder, or no faster-whisper."""
        if weights is None or not all((weights / name).is_file() for name in _FILES):
            raise SpeechNotConfigured(
                NAME,
                f"GREENLINE_WHISPER_MODEL must be a folder with the weights of faster-whisper ({', '.join(_FILES)})",
            )
        if importlib.util.find_spec(_LIBRARY) is None:
            raise _not_installed()
        self._weights = weights
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="whisper")
        self._loading = threading.Lock()
        self._model: Any = None
        self._threads.submit(self._loaded).add_done_callback(_report)  # what fails here fails again when it is used

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """A stream that keeps an utterance until it ends."""
        return BufferedStream(self.name, lambda pcm: self._recognise(pcm, options))

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """A recording."""
        recording = await asyncio.to_thread(decode_recording, audio)
        text = await self._recognise(recording.pcm, options)
        return Transcript(text, recording.seconds, self.name)

    async def warm(self) -> None:
        """Return when the weights are loaded. Raises `RecognitionError`, `SpeechNotConfigured`."""
        await self._in_thread(self._loaded)

    async def aclose(self) -> None:
        """Let go of the weights when what is being recognised has come to its end."""
        self._threads.shutdown(wait=False)
        self._model = None

    async def _recognise(self, pcm: bytes, options: RecognitionOptions) -> str:
        return await self._in_thread(self._transcribe, pcm, options)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work, *arguments)
        except (RuntimeError, ValueError) as error:  # how the library fails
            raise RecognitionError(self.name, str(error)) from error

    def _transcribe(self, pcm: bytes, options: RecognitionOptions) -> str:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
        segments, _ = self._loaded().transcribe(
            samples,
            language=options.sole_language,
            hotwords=" ".join(options.keywords) or None,
            condition_on_previous_text=False,
        )
        return "".join(segment.text for segment in segments).strip()

    def _loaded(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = _load(self._weights)
        return self._model


def _not_installed() -> SpeechNotConfigured:
    return SpeechNotConfigured(NAME, "install faster-whisper, or set another GREENLINE_STT")


def _report(loading: Future[Any]) -> None:
    """Tell the operator before a person speaks in vain."""
    if error := loading.exception():
        log.error("speech.not_loaded", provider=NAME, error=str(error))


def _load(weights: Path) -> Any:
    try:
        library = importlib.import_module(_LIBRARY)
    except ImportError as error:
        raise _not_installed() from error
    # local_files_only: a wrong folder must not make the library look for weights on the internet.
    return library.WhisperModel(str(weights), device="cpu", compute_type="int8", local_files_only=True)
