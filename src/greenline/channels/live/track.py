"""One side of a recording: runs of sound on a line of time, and silence between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_SAMPLE_BYTES: Final = 2


@dataclass(slots=True)
class _Run:
    """Sound without a gap."""

    place: int
    sound: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def end(self) -> int:
        return self.place + len(self.sound) // _SAMPLE_BYTES


class Track:
    """Places are samples from the beginning. What was taken may still be changed, until it is settled."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._settled = 0
        """The place after the last sound that was settled."""
        self._taken = 0

    @property
    def end(self) -> int:
        """The place after the last sample."""
        return self._runs[-1].end if self._runs else self._settled

    def put(self, pcm: bytes, at: int, slack: int = 0) -> None:
        """Add sound that was heard at the place ``at``.

        It follows what is there already where that ends after ``at``, or no more than ``slack`` before.
        """
        place = at if at - self.end > slack else self.end
        if not self._runs or place > self.end:
            self._runs.append(_Run(place))
        self._runs[-1].sound += pcm
        self._changed(place)

    def move_up(self, samples: int) -> None:
        """The last run was heard so much earlier: silence before it gives way, and what it meets moves with it."""
        while samples > 0 and self._runs:
            run = self._runs[-1]
            before = self._runs[-2].end if len(self._runs) > 1 else self._settled
            step = min(samples, run.place - before)
            run.place -= step
            samples -= step
            self._changed(run.place)
            if run.place > before or len(self._runs) == 1:
                return
            del self._runs[-1]
            self._runs[-1].sound += run.sound

    def cut(self, place: int) -> None:
        """Nothing was heard from ``place`` on."""
        while self._runs and self.end > place:
            run = self._runs[-1]
            del run.sound[max(0, place - run.place) * _SAMPLE_BYTES :]
            self._changed(place)
            if not run.sound:
                del self._runs[-1]

    def hold_up(self, place: int, samples: int) -> None:
        """What was to be heard from ``place`` on is heard so much later."""
        for index, run in reversed(list(enumerate(self._runs))):
            if run.end <= place:
                break
            if run.place >= place:
                run.place += samples
                continue
            heard = (place - run.place) * _SAMPLE_BYTES
            self._runs.insert(index + 1, _Run(place + samples, run.sound[heard:]))
            del run.sound[heard:]
        self._changed(place)

    def take(self, until: int) -> tuple[int, bytes]:
        """What has changed since the last time, up to ``until``, with its silence; and where that begins."""
        begin, self._taken = self._taken, max(self._taken, until)
        pcm = bytearray(max(0, until - begin) * _SAMPLE_BYTES)
        for run in self._runs:
            first, last = max(run.place, begin), min(run.end, until)
            if first < last:
                sound = run.sound[(first - run.place) * _SAMPLE_BYTES : (last - run.place) * _SAMPLE_BYTES]
                pcm[(first - begin) * _SAMPLE_BYTES : (last - begin) * _SAMPLE_BYTES] = sound
        return begin, bytes(pcm)

    def settle(self, until: int) -> None:
        """What was taken before ``until`` does not change any more, and is forgotten."""
        until = min(until, self._taken)
        while self._runs and self._runs[0].place < until:
            run = self._runs[0]
            self._settled = min(until, run.end)
            del run.sound[: (until - run.place) * _SAMPLE_BYTES]
            run.place = until
            if not run.sound:
                del self._runs[0]

    def _changed(self, place: int) -> None:
        self._taken = min(self._taken, max(place, self._settled))
