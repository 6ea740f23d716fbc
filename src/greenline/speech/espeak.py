"""The embedded voice: eSpeak NG in a process of its own (`espeak_worker`), started when somebody first speaks.

It is plain and robotic and knows about a hundred languages. A sentence takes a few milliseconds, so one process
serves all conversations, in the order of their requests. When it dies or hangs, another is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from greenline.speech import espeak_worker
from greenline.speech.errors import SpeechNotConfigured, SynthesisError
from greenline.speech.models import Alignment, Chunk, Voice

log = structlog.get_logger(__name__)

NAME: Final = "embedded"
RATE: Final = 22_050
"""eSpeak NG's own; the process says it when it starts."""
WORDS_PER_MINUTE: Final = 170
DEFAULT_VOICE: Final = "en-us"
START_SECONDS: Final = 10.0
"""It takes a tenth of a second, and longer on a machine that is busy."""
SILENCE_SECONDS: Final = 2.0
"""A process that gives nothing to anybody for so long is stopped, before those who wait give up: ten minutes of
speech take less than one second."""
PARTS: Final = 10
_DIED: Final = "the process of the voice has died"
_LANGUAGES: Final = {"zh": "cmn", "zh-hk": "yue", "no": "nb", "fil": "id", "tl": "id", "pt-pt": "pt"}
"""eSpeak NG's names where they differ from those of agents; there is no Filipino: Indonesian is read most alike."""
_NAME: Final = re.compile(r"[A-Za-z0-9_+-]{1,40}")
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Frame:
    kind: int
    first: int = 0
    last: int = 0
    data: bytes = b""


@dataclass(slots=True)
class _Worker:
    """A running process and who waits for its frames; ``heard_at`` is when the last one came, by the loop's clock."""

    process: Process
    waiting: dict[int, asyncio.Queue[_Frame | None]] = field(default_factory=dict)
    reader: asyncio.Task[None] | None = None
    heard_at: float = 0.0

    @property
    def alive(self) -> bool:
        return self.reader is not None and not self.reader.done()


class EspeakSynthesiser:
    """A `Synthesiser` with one English voice, and the plain ones of other languages."""

    name = NAME
    rate = RATE

    def __init__(self, default_voice: str = DEFAULT_VOICE, process: EspeakProcess | None = None) -> None:
        """``default_voice`` speaks English: an eSpeak NG name, such as ``en-us+f3``.

        A ``process`` that is given may be shared, and is stopped by its owner. Raises `SpeechNotConfigured` for what
        can't be a name.
        """
        if not _NAME.fullmatch(default_voice):
            raise SpeechNotConfigured(NAME, f"{default_voice!r} is no name of a voice of eSpeak NG")
        self._default_voice = default_voice
        self._process = process or EspeakProcess()
        self._shared = process is not None

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Chunk, None]:
        """Speak, in pieces of a word with its characters.

        A process that dies before the first, or says nothing, is replaced once.
        """
        text = _UNSPEAKABLE.sub(" ", text)
        names, wpm = self._voice_names(voice), round(WORDS_PER_MINUTE * voice.speed)
        for last_try in (False, True):
            begun = False
            try:
                async with contextlib.aclosing(self._process.speak(text, names, wpm)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
            except _WorkerLost as error:
                if begun or last_try:
                    raise SynthesisError(self.name, str(error)) from error
                continue
            return

    async def warm(self) -> None:
        """Start the process before somebody waits for it (about 60 ms)."""
        await self._process.start()

    async def aclose(self) -> None:
        """Stop the process, if it is its own."""
        if not self._shared:
            await self._process.stop()

    def _voice_names(self, voice: Voice) -> list[str]:
        """Who may speak the language, best first: ``de-at``, ``de``, and English rather than silence."""
        language = (voice.language or "en").lower()
        base = language.split("-")[0]
        codes = (language, base) if base != "en" else ()
        known = [_LANGUAGES.get(code, code) for code in dict.fromkeys(codes) if _NAME.fullmatch(code)]
        return [*known, self._default_voice]


class EspeakProcess:
    """The process and its requests; it is started by the first, and anew when it has died."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._worker: _Worker | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Its number, while there is one."""
        return self._worker.process.pid if self._worker else None

    @property
    def requests(self) -> int:
        """How many are being spoken."""
        return len(self._worker.waiting) if self._worker else 0

    async def speak(self, text: str, voices: list[str], wpm: int) -> AsyncGenerator[Chunk, None]:
        """One request, to the first of ``voices`` that is there.

        Raises `SynthesisError`, and `_WorkerLost` when the process dies, or has to be stopped.
        """
        worker = await self.start()
        number = next(self._ids)
        frames = worker.waiting[number] = asyncio.Queue()
        try:
            await _write(worker, {"id": number, "text": text, "voices": voices, "wpm": wpm})
            while True:
                frame = await _next(worker, frames)
                if frame is None:
                    raise _WorkerLost(_DIED)
                if frame.kind == espeak_worker.FAILED:
                    raise SynthesisError(NAME, frame.data.decode(), of_request=True)
                if frame.kind == espeak_worker.END:
                    return
                yield Chunk(frame.data, _alignment(text[frame.first : frame.last], len(frame.data)), NAME)
        except TimeoutError:
            await _stop(worker)
            # Not because of the time: another process may say at once what this one did not.
            raise _WorkerLost(f"the voice said nothing for {SILENCE_SECONDS:.0f} s") from None
        finally:
            worker.waiting.pop(number, None)  # frames that are still under way find nobody

    async def start(self) -> _Worker:
        """The process, running."""
        async with self._starting:
            if self._worker is None or not self._worker.alive:
                if self._worker is not None:
                    log.warning("speech.voice_restarted", provider=NAME)
                    await _stop(self._worker)
                self._worker = await _start()
            return self._worker

    async def stop(self) -> None:
        """End it."""
        async with self._starting:
            worker, self._worker = self._worker, None
        if worker is not None:
            await _stop(worker)


class _WorkerLost(Exception):
    """The process is gone, with the request in it; the text says why."""


async def _start() -> _Worker:
    """A process that has said its rate. Isolated (-I): it sees neither our folder nor our environment's paths."""
    program = str(Path(espeak_worker.__file__))
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", program, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
    except OSError as error:
        raise SynthesisError(NAME, f"the process of the voice can't be started: {error}") from error
    worker = _Worker(process)
    hello: asyncio.Queue[_Frame | None] = asyncio.Queue()
    worker.waiting[0] = hello
    worker.reader = asyncio.create_task(_read(worker))
    try:
        frame = await _next(worker, hello, START_SECONDS)
    except BaseException:  # the boundary of a start: undone, and raised
        await _stop(worker)
        raise
    if frame is None or struct.unpack("<I", frame.data) != (RATE,):
        await _stop(worker)
        raise SynthesisError(NAME, "the process of the voice does not start; its standard error says why")
    del worker.waiting[0]
    return worker


async def _read(worker: _Worker) -> None:
    """Bring each frame to its request; when the process ends, tell all of them."""
    stdout = worker.process.stdout
    header = espeak_worker.HEADER
    try:
        while stdout is not None:
            number, kind, first, last, length = header.unpack(await stdout.readexactly(header.size))
            frame = _Frame(kind, first, last, await stdout.readexactly(length))
            worker.heard_at = asyncio.get_running_loop().time()
            if number in worker.waiting:
                worker.waiting[number].put_nowait(frame)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        for waiting in worker.waiting.values():
            waiting.put_nowait(None)


async def _write(worker: _Worker, line: dict[str, object]) -> None:
    stdin = worker.process.stdin
    if stdin is None:
        raise _WorkerLost(_DIED)
    try:
        stdin.write(json.dumps(line).encode() + b"\n")
        await stdin.drain()
    except (ConnectionError, RuntimeError) as error:
        raise _WorkerLost(_DIED) from error


async def _next(
    worker: _Worker, frames: asyncio.Queue[_Frame | None], seconds: float = SILENCE_SECONDS
) -> _Frame | None:
    """The next frame. Raises ``TimeoutError`` when the process gives nothing to anybody for so long.

    A machine that stands still meanwhile takes one of the parts in which the time is counted, however long it does:
    the other process stood still with this one.
    """
    quiet, heard_at = 0, worker.heard_at
    while quiet < PARTS:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds / PARTS):
                return await frames.get()
        quiet = quiet + 1 if worker.heard_at == heard_at else 0
        heard_at = worker.heard_at
    raise TimeoutError


async def _stop(worker: _Worker) -> None:
    """End the process and its reader."""
    with contextlib.suppress(ProcessLookupError):
        worker.process.kill()
    await worker.process.wait()
    if worker.reader is not None:
        await asyncio.wait([worker.reader])


def _alignment(text: str, length: int) -> Alignment:
    """The characters of a word share its time evenly."""
    milliseconds = length * 1_000 // (2 * RATE)
    edges = [milliseconds * place // max(1, len(text)) for place in range(len(text) + 1)]
    durations = [after - before for before, after in itertools.pairwise(edges)]
    return Alignment(tuple(text), tuple(edges[:-1]), tuple(durations))
