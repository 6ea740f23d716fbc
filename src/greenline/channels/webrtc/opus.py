"""Opus for calls: mono, 20 ms a packet, wide-band speech."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Final

import av
from av import AudioFrame
from av.audio.codeccontext import AudioCodecContext

from greenline.speech.resample import FrameResampler

RATE: Final = 16_000
"""What is written to and read from a call: Meta's peer plays and captures 16 kHz (maxplaybackrate=16000)."""
FRAME_SECONDS: Final = 0.02
FRAME_BYTES: Final = int(RATE * FRAME_SECONDS) * 2
CLOCK_RATE: Final = 48_000
"""The clock of Opus in RTP, whatever the rate of the sound (RFC 7587)."""
FRAME_TICKS: Final = 960
BIT_RATE: Final = 24_000
"""Meta asks for about 20 kbit/s; speech at 24 leaves room for the copies of lost frames."""
EXPECTED_LOSS_PERCENT: Final = 10
COMPLEXITY: Final = 5
"""A third less time than the default of 10, and no difference that listeners of speech at 24 kbit/s hear."""


class OpusEncoder:
    """From 20 ms of PCM to a packet, with in-band copies of the frame before for what gets lost.

    With the first packet PyAV gives it a thread for each core, which has nothing to do.
    """

    def __init__(self) -> None:
        self._codec = _codec("w")
        self._codec.bit_rate = BIT_RATE
        self._codec.sample_rate = RATE
        self._codec.time_base = Fraction(1, RATE)
        self._codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": str(EXPECTED_LOSS_PERCENT),
            "compression_level": str(COMPLEXITY),
        }
        self._samples = 0

    def encode(self, pcm: bytes) -> bytes:
        """The packet of a frame; less than 20 ms are filled with silence."""
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_BYTES // 2)
        frame.sample_rate = RATE
        frame.pts = self._samples
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        self._samples += FRAME_BYTES // 2
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


class OpusDecoder:
    """From packets to PCM of `RATE`."""

    def __init__(self) -> None:
        self._codec = _codec("r")
        self._codec.sample_rate = CLOCK_RATE
        self._resampler = FrameResampler(RATE)

    def decode(self, packet: bytes) -> bytes:
        """The sound of a packet. Raises ``ValueError`` for what is no Opus."""
        if not packet:
            raise ValueError("an empty packet")  # to the codec it would mean the end of the stream
        try:
            frames = self._codec.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise ValueError(f"not an Opus packet: {error}") from error
        sound = []
        for frame in frames:
            frame.pts = None  # the order of calls is the order of time
            sound += [bytes(part.planes[0])[: part.samples * 2] for part in self._resampler.resample(frame)]
        return b"".join(sound)


def ticks(packet: bytes) -> int:
    """How much time a packet holds, in 1/48000 s, read from its first bytes (RFC 6716, 3.1)."""
    if not packet:
        return FRAME_TICKS
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        frame = (480, 960)[config % 2]
    else:
        frame = (120, 240, 480, 960)[config % 4]
    if code == 3:
        return frame * (packet[1] & 0x3F if len(packet) > 1 else 1)
    return frame * (1 if code == 0 else 2)


@cache
def silence() -> bytes:
    """A packet of silence, the same for all calls."""
    return OpusEncoder().encode(b"")


def _codec(mode: str) -> AudioCodecContext:
    codec = AudioCodecContext.create("libopus", "w" if mode == "w" else "r")
    codec.format = "s16"
    codec.layout = "mono"
    return codec
