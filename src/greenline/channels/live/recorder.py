"""Records both sides of a conversation as they are heard, to a file that grows while it runs.

The file is PCM of 16 bit at `RATE` with two channels: the person left, the agent right. Both lie on one line of time,
that of the server: what the agent says is placed where it is played, not where it is made, and what is cut off by an
interruption is not in it. What the network held back is placed where the person said it, which may be in a part that
is written already. As long as the file grows, its writer holds a lock on it: no other process takes it for one that
was left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import structlog

from greenline.channels.live.models import AudioOut
from greenline.channels.live.track import Track
from greenline.speech.models import HEARING_RATE, Alignment
from greenline.speech.resample import Resampler
from greenline.store.disk import make_folder

log = structlog.get_logger(__name__)

RATE: Final = HEARING_RATE
BLOCK_SECONDS: Final = 1.0
"""Between two writes: what a killed process loses of its recordings."""
JITTER_SECONDS: Final = 0.2
"""Sound that comes this late still belongs to what came before it."""
KEPT_SECONDS: Final = 5.0
"""How long a network may take to bring, after a stall, what it held back; 32 kB a second."""
BELIEVED_SECONDS: Final = 20.0
"""How long what comes by the person's clock may be late before the clock is taken to have stood still, on hold."""
LOOKED_AT_SECONDS: Final = 1.0
"""How much is looked at of what comes after silence that stood in for more than that: it is late sound, if it comes
faster than it was said, or new sound of somebody whose clock stood still, on hold."""
_SAMPLE_BYTES: Final = 2
_FRAME_BYTES: Final = 2 * _SAMPLE_BYTES


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
        self._clock_begins: int | None = None
        """The place at which the person's clock is at 0, by what came with the least delay."""
        self._lately = (0, 0)
        """The same by what came lately: before `_lately_from`, and since then."""
        self._lately_from = 0
        self._told_until = 0
        """The place by their clock after the last that came."""
        self._doubt: _Doubt | None = None
        """What came after silence that stood in for something, until it is known whether for that."""
        self._person = Track()
        self._agent = Track()
        self._written_until = 0
        """The place up to which both sides were written."""
        self._broken = False
        self._file: BinaryIO | None = None
        self._writing: asyncio.Task[None] | None = None

    def hear(self, pcm: bytes, at: float | None = None) -> None:
        """Sound of the person that has just come, at `RATE`.

        ``at`` is where it begins by their own clock. Where they tell, silence takes no place of its own: it may only
        stand in for sound that is late.
        """
        place, samples = self._place(), len(pcm) // _SAMPLE_BYTES
        self._heard_until = place
        if self._broken:
            return
        if at is None:
            self._person.put(pcm, place - samples, int(JITTER_SECONDS * RATE))
            self._person.move_up(self._person.end - place)  # nothing is heard before it was said
        else:
            self._hear_told(_Piece(place, round(at * RATE), pcm))

    def beside(self, out: AudioOut) -> AudioOut:
        """``out``, whose speech is recorded as well."""
        return _Recorded(out, self)

    def speak(self, pcm: bytes, ahead: float) -> None:
        """Sound of the agent at `RATE`, that is played in ``ahead`` seconds."""
        if not self._broken:
            samples = int(ahead * RATE)
            self._agent.put(pcm, self._place() + samples, int(JITTER_SECONDS * RATE) if samples > 0 else 0)

    def hold_up(self, seconds: float) -> None:
        """What of the agent was to be played in the last ``seconds``, and after them, is played from now on."""
        samples = int(seconds * RATE)
        self._agent.hold_up(self._place() - samples, samples)

    def unsay(self) -> None:
        """Of the agent nothing more is played of what was spoken so far."""
        self._agent.cut(self._place())

    async def run(self) -> None:
        """Write what was heard, again and again, until cancelled. A disk that fails ends the recording only."""
        self._place()
        while True:
            await asyncio.sleep(BLOCK_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what was heard until now."""
        await self._write(self._place())

    async def close(self) -> bool:
        """Write the rest; whether the file holds anything. Speech that is not yet played is left out."""
        if self._writing is not None:
            await self._writing
        self._settle_doubt()
        self._agent.cut(self._place())
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

    def _hear_told(self, piece: _Piece) -> None:
        if self._told_until - piece.begins > LOOKED_AT_SECONDS * RATE:
            self._settle_doubt()
            self._doubt = _Doubt(piece.zero, piece.zero)
        self._told_until = piece.ends
        if self._doubt is None:
            self._put(piece)
            return
        self._doubt.add(piece)
        if self._doubt.catches_up or self._doubt.samples >= LOOKED_AT_SECONDS * RATE:
            self._settle_doubt()

    def _settle_doubt(self) -> None:
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return
        if doubt.stood_still:
            self._clock_begins, self._lately = doubt.zero, (doubt.zero, doubt.zero)
            self._lately_from = self._heard_until
        for piece in doubt.pieces:
            self._put(piece)

    def _put(self, piece: _Piece) -> None:
        zero = self._zero(piece.place, piece.zero)
        if piece.sounds:
            self._person.put(piece.pcm, zero + piece.begins)
        self._person.move_up(self._person.end - piece.place)

    def _zero(self, place: int, zero: int) -> int:
        """Where the person's clock is at 0: it stood still if lately nothing came with as little delay as before."""
        if self._clock_begins is None:
            self._clock_begins, self._lately = zero, (zero, zero)
        before, since = self._lately
        if place - self._lately_from > BELIEVED_SECONDS * RATE:
            before, since, self._lately_from = since, zero, place
        self._lately = before, min(since, zero)
        stood_still = min(self._lately) - self._clock_begins > JITTER_SECONDS * RATE
        self._clock_begins = min(self._lately) if stood_still else min(self._clock_begins, zero)
        return self._clock_begins

    async def _write(self, until: int) -> None:
        sides = [track.take(until) for track in (self._person, self._agent)]
        self._person.settle(until - int(KEPT_SECONDS * RATE))
        self._agent.settle(self._written_until)  # since then the process may have stood still, and nobody told us yet
        self._written_until = until
        if self._broken or not any(pcm for _, pcm in sides):
            return
        self._writing = asyncio.create_task(self._put_down(sides))
        await asyncio.shield(self._writing)  # who stops `run` does not take this second of sound away

    async def _put_down(self, sides: Sequence[tuple[int, bytes]]) -> None:
        try:
            if self._file is None:
                self._file = await asyncio.to_thread(_open, self.path)
            await asyncio.to_thread(_write, self._file, sides)
        except OSError as error:
            log.warning("recording.broken", path=str(self.path), error=error.strerror)
            self._broken = True
            await self.discard()

    def _release(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take
                self._file.close()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Sound or silence that had come at ``place``; by the person's clock it ``begins`` there."""

    place: int
    begins: int
    pcm: bytes = field(repr=False)

    @property
    def ends(self) -> int:
        return self.begins + len(self.pcm) // _SAMPLE_BYTES

    @property
    def sounds(self) -> bool:
        return self.pcm.count(0) < len(self.pcm)

    @property
    def zero(self) -> int:
        """Where their clock is at 0, if it came without delay."""
        return self.place - self.ends


@dataclass(slots=True)
class _Doubt:
    """What came after silence that stood in for late sound, or for nothing; ``zero`` by the least delay of it."""

    first_zero: int
    zero: int
    samples: int = 0
    pieces: list[_Piece] = field(default_factory=list)

    def add(self, piece: _Piece) -> None:
        self.zero = min(self.zero, piece.zero)
        if piece.sounds:
            self.pieces.append(piece)
            self.samples += piece.ends - piece.begins

    @property
    def catches_up(self) -> bool:
        """Whether it comes faster than it was said, by more than jitter makes."""
        return self.first_zero - self.zero > JITTER_SECONDS * RATE

    @property
    def stood_still(self) -> bool:
        """Whether it is new, as far as so much of it tells."""
        return not self.catches_up and self.samples > 2 * JITTER_SECONDS * RATE


class _Recorded:
    """An `AudioOut` that a recorder listens to."""

    def __init__(self, out: AudioOut, recorder: Recorder) -> None:
        self._out = out
        self._recorder = recorder
        self._resampler = Resampler(out.rate, RATE)
        out.when_held_up(recorder.hold_up)

    @property
    def rate(self) -> int:
        return self._out.rate

    @property
    def queued(self) -> float:
        return self._out.queued

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        self._out.write(pcm, event_id, alignment)  # first, as it tells of a stall before
        self._recorder.speak(self._resampler.push(pcm), self._out.queued - len(pcm) / 2 / self._out.rate)

    def once_sounding(self, tell: Callable[[], None]) -> None:
        self._out.once_sounding(tell)

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        self._out.when_held_up(tell)

    def clear(self) -> float:
        unplayed = self._out.clear()
        self._recorder.unsay()
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
    file = open(path, "r+b", opener=_private)  # noqa: SIM115 - it is written to until the end
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _write(file: BinaryIO, sides: Sequence[tuple[int, bytes]]) -> None:
    """Put the sound of each side where it lies, beside what is there of the other."""
    for side, (place, pcm) in enumerate(sides):
        at, size = place * _FRAME_BYTES, len(pcm) // _SAMPLE_BYTES * _FRAME_BYTES
        file.seek(at)
        block = bytearray(file.read(size).ljust(size, b"\0"))
        np.frombuffer(block, "<i2")[side::2] = np.frombuffer(pcm, "<i2")
        file.seek(at)
        file.write(block)
    file.flush()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o600)
