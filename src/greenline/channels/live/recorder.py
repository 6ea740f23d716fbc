"""Records both sides of a conversation as they are heard, to a file that grows while it runs.

The file is PCM of 16 bit at `RATE` with two channels: the person left, the agent right. Both lie on one line of time,
that of the server: what the agent says is placed where it is played, not where it is made, and what is cut off by an
interruption is not in it. As long as it grows, its writer holds a lock on it: no other process takes it for one that
was left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import structlog

from greenline.channels.live.models import AudioOut
from greenline.speech.models import HEARING_RATE, Alignment
from greenline.speech.resample import Resampler
from greenline.store.disk import make_folder

log = structlog.get_logger(__name__)

RATE: Final = HEARING_RATE
BLOCK_SECONDS: Final = 1.0
"""Between two writes; what a killed process loses of its recordings is about twice as much."""
JITTER_SECONDS: Final = 0.2
"""Sound that comes this late still belongs to what came before it."""
_SAMPLE_BYTES: Final = 2


class Track:
    """One side, from the place ``start`` on; what lies before was taken. Places are samples from the beginning."""

    def __init__(self) -> None:
        self._sound = bytearray()
        self._gap = (0, 0)
        self.start = 0

    @property
    def end(self) -> int:
        """The place after the last sample."""
        return self.start + len(self._sound) // _SAMPLE_BYTES

    def put(self, pcm: bytes, at: int) -> None:
        """Add sound that was heard at the place ``at``, or follows what is there already."""
        silent = at - self.end
        if silent > JITTER_SECONDS * RATE:
            self._gap = (self.end, silent)
            self._sound.extend(bytes(silent * _SAMPLE_BYTES))
        self._sound.extend(pcm)
        self._close_gap(self.end - at - len(pcm) // _SAMPLE_BYTES)

    def cut(self, samples: int) -> None:
        """Take the last ``samples`` away: they were not heard."""
        keep = max(0, len(self._sound) // _SAMPLE_BYTES - samples)
        del self._sound[keep * _SAMPLE_BYTES :]

    def take(self, until: int) -> bytes:
        """The sound up to the place ``until``, filled up with silence."""
        size = max(0, until - self.start) * _SAMPLE_BYTES
        taken = bytes(self._sound[:size]).ljust(size, b"\0")
        del self._sound[:size]
        self.start = max(self.start, until)
        return taken

    def _close_gap(self, early: int) -> None:
        """What filled a gap came after all, in a burst: take out as much silence as the end is ahead by now."""
        place, size = self._gap
        surplus = min(early, size)
        if surplus > JITTER_SECONDS * RATE and place >= self.start:
            at = (place - self.start) * _SAMPLE_BYTES
            del self._sound[at : at + surplus * _SAMPLE_BYTES]
            self._gap = (place, size - surplus)


class Recorder:
    """One conversation. ``now`` tells seconds, from any beginning.

    At its end ``done`` is told of the file, if it holds anything.
    """

    def __init__(
        self, path: Path, now: Callable[[], float], done: Callable[[Path], None] = lambda path: None
    ) -> None:
        self.path = path
        self.closed = False
        """Whether nothing more is written."""
        self._now = now
        self._done = done
        self._begun_at: float | None = None
        self._heard_until = 0
        """The place up to which the person was heard or silent."""
        self._person = Track()
        self._agent = Track()
        self._broken = False
        self._file: BinaryIO | None = None
        self._writing: asyncio.Task[None] | None = None

    def hear(self, pcm: bytes) -> None:
        """Sound of the person that has just come, at `RATE`.

        Silence takes no place of its own: the sound that it stands for may still come, in a burst.
        """
        self._heard_until = self._place()
        if not self._broken and pcm.count(0) < len(pcm):
            self._person.put(pcm, self._heard_until - len(pcm) // _SAMPLE_BYTES)

    def beside(self, out: AudioOut) -> AudioOut:
        """``out``, whose speech is recorded as well."""
        return _Recorded(out, self)

    def speak(self, pcm: bytes, ahead: float) -> None:
        """Sound of the agent at `RATE`, that is played in ``ahead`` seconds."""
        if not self._broken:
            self._agent.put(pcm, self._place() + int(ahead * RATE))

    def unsay(self, seconds: float) -> None:
        """The last seconds of the agent are not played."""
        self._agent.cut(int(seconds * RATE))

    async def run(self) -> None:
        """Write what was heard, again and again, until cancelled. A disk that fails ends the recording only."""
        self._place()
        while True:
            await asyncio.sleep(BLOCK_SECONDS)
            await self._write(self._place() - int(BLOCK_SECONDS * RATE))

    async def close(self) -> bool:
        """Write the rest; whether the file holds anything. Speech that is not yet played is left out."""
        if self._writing is not None:
            await self._writing
        place = self._place()
        self._agent.cut(self._agent.end - place)
        await self._write(max(self._heard_until, self._person.end, self._agent.end))
        written = not self._broken and self._file is not None
        self.closed = True
        self._release()
        if written:
            self._done(self.path)
        return written

    async def discard(self) -> None:
        """Take away what was written, if the disk lets us."""
        self._release()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self.path.unlink, missing_ok=True)

    def _place(self) -> int:
        """Where we are on the line of time; it begins with the first question."""
        if self._begun_at is None:
            self._begun_at = self._now()
        return int((self._now() - self._begun_at) * RATE)

    async def _write(self, until: int) -> None:
        person, agent = self._person.take(until), self._agent.take(until)
        if self._broken or not person:
            return
        block = np.column_stack([np.frombuffer(side, "<i2") for side in (person, agent)]).tobytes()
        self._writing = asyncio.create_task(self._append(block))
        await asyncio.shield(self._writing)  # who stops `run` does not take this second of sound away

    async def _append(self, block: bytes) -> None:
        try:
            if self._file is None:
                self._file = await asyncio.to_thread(_open, self.path)
            await asyncio.to_thread(_write, self._file, block)
        except OSError as error:
            log.warning("recording.broken", path=str(self.path), error=error.strerror)
            self._broken = True
            await self.discard()

    def _release(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take
                self._file.close()


class _Recorded:
    """An `AudioOut` that a recorder listens to."""

    def __init__(self, out: AudioOut, recorder: Recorder) -> None:
        self._out = out
        self._recorder = recorder
        self._resampler = Resampler(out.rate, RATE)

    @property
    def rate(self) -> int:
        return self._out.rate

    @property
    def queued(self) -> float:
        return self._out.queued

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        self._recorder.speak(self._resampler.push(pcm), self._out.queued)
        self._out.write(pcm, event_id, alignment)

    def once_sounding(self, tell: Callable[[], None]) -> None:
        self._out.once_sounding(tell)

    def clear(self) -> float:
        unplayed = self._out.clear()
        self._recorder.unsay(unplayed)
        self._resampler.reset()
        return unplayed


def is_held(path: Path) -> bool:
    """Whether somebody still writes to a recording. Raises ``FileNotFoundError`` when it is not there any more."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _open(path: Path) -> BinaryIO:
    make_folder(path.parent)
    file = open(path, "ab", opener=_private)  # noqa: SIM115 - it is written to until the end
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _write(file: BinaryIO, block: bytes) -> None:
    file.write(block)
    file.flush()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
