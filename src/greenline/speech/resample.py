"""From one rate to another, in pieces as they come, by FFmpeg's resampler (about 1 ms of delay)."""

from __future__ import annotations

from typing import Final

from av import AudioFrame, AudioResampler

_STEP_BYTES: Final = 32_768
"""Sound given to the resampler at once: frames of a moderate size, whatever comes."""


class Resampler:
    """Mono PCM of one stream. ``source`` and ``target`` are samples a second; equal rates pass through."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self._swr: AudioResampler | None = None
        self._rest = b""

    def push(self, pcm: bytes) -> bytes:
        """What comes out so far. Half a sample waits for its other half."""
        pcm = self._rest + pcm
        whole = len(pcm) // 2 * 2
        self._rest = pcm[whole:]
        if self.source == self.target:
            return pcm[:whole]
        steps = range(0, whole, _STEP_BYTES)
        return b"".join(self._convert(_frame(pcm[at : min(at + _STEP_BYTES, whole)], self.source)) for at in steps)

    def flush(self) -> bytes:
        """The end of the stream; the next `push` begins another."""
        tail = self._convert(None) if self._swr is not None else b""
        self.reset()
        return tail

    def reset(self) -> None:
        """Forget what was pushed and has not come out: the stream was cut."""
        self._swr = None
        self._rest = b""

    def _convert(self, frame: AudioFrame | None) -> bytes:
        if self._swr is None:
            self._swr = AudioResampler(format="s16", layout="mono", rate=self.target)
        return b"".join(frame_bytes(part) for part in self._swr.resample(frame))


def resample(pcm: bytes, source: int, target: int) -> bytes:
    """A whole recording at another rate."""
    resampler = Resampler(source, target)
    return resampler.push(pcm) + resampler.flush()


def frame_bytes(frame: AudioFrame) -> bytes:
    """The samples of a frame of one plane; the plane itself is padded."""
    return bytes(frame.planes[0])[: frame.samples * len(frame.layout.channels) * frame.format.bytes]


def _frame(pcm: bytes, rate: int) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
    frame.sample_rate = rate
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    return frame
