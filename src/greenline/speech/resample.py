"""From one rate to another, in pieces as they come, by FFmpeg's resampler (about 1 ms of delay)."""

from __future__ import annotations

from typing import Final, cast

from av import AudioFrame
from av.filter import Graph

_STEP_BYTES: Final = 32_768
"""Sound given to the resampler at once: frames of a moderate size, whatever comes."""


class FrameResampler:
    """Decoded frames of one stream as 16-bit mono of ``rate``.

    ``av.AudioResampler`` does the same, with a thread for each core of the machine as long as it lives: they have
    nothing to do, and a call has several resamplers.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._graph: Graph | None = None
        self._source: tuple[str, str, int] | None = None

    def resample(self, frame: AudioFrame | None) -> list[AudioFrame]:
        """What comes out so far; None is the end of the stream. Raises ``ValueError`` for a frame of another kind."""
        if frame is not None and self._source != (source := _kind(frame)):
            if self._graph is not None:
                raise ValueError(f"a stream of {self._source} goes on as {source}")
            self._graph, self._source = _graph(frame, self._rate), source
        if self._graph is None:
            return []
        self._graph.push(frame)
        frames: list[AudioFrame] = []
        while True:
            try:
                frames.append(cast("AudioFrame", self._graph.pull()))
            except (BlockingIOError, EOFError):  # it waits for more, or has ended
                return frames


class Resampler:
    """Mono PCM of one stream. ``source`` and ``target`` are samples a second; equal rates pass through."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self._swr: FrameResampler | None = None
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
            self._swr = FrameResampler(self.target)
        return b"".join(frame_bytes(part) for part in self._swr.resample(frame))


def resample(pcm: bytes, source: int, target: int) -> bytes:
    """A whole recording at another rate."""
    resampler = Resampler(source, target)
    return resampler.push(pcm) + resampler.flush()


def frame_bytes(frame: AudioFrame) -> bytes:
    """The samples of a frame of one plane; the plane itself is padded."""
    return bytes(frame.planes[0])[: frame.samples * len(frame.layout.channels) * frame.format.bytes]


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _graph(frame: AudioFrame, rate: int) -> Graph:
    graph = Graph()
    graph.threads = 1
    form, layout, source = _kind(frame)
    base = {} if frame.time_base is None else {"time_base": str(frame.time_base)}
    begin = graph.add("abuffer", sample_rate=str(source), sample_fmt=form, channel_layout=layout, **base)
    convert = graph.add("aformat", sample_rates=str(rate), sample_fmts="s16", channel_layouts="mono")
    end = graph.add("abuffersink")
    begin.link_to(convert)
    convert.link_to(end)
    graph.configure()
    return graph


def _frame(pcm: bytes, rate: int) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
    frame.sample_rate = rate
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    return frame
