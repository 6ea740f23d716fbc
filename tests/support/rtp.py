"""Packets of a call without a call."""

from __future__ import annotations

from dataclasses import dataclass, field

from greenline.channels.webrtc.opus import silence

EVENT = 126
"""Payload type of keys."""


@dataclass
class Rtp:
    """One of silence, unless it is given another payload."""

    sequence_number: int
    timestamp: int
    payload: bytes = field(default_factory=silence)
    payload_type: int = 111
    ssrc: int = 1


def packets(count: int, *, first: int = 0, time: int = 0) -> list[Rtp]:
    """Packets that follow each other."""
    return [Rtp((first + n) & 0xFFFF, (time + 960 * n) & 0xFFFFFFFF) for n in range(count)]
