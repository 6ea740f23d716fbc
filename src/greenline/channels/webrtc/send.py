"""The way out: speech that was written ahead, sent in real time as Opus packets, with silence between.

A packet goes out every 20 ms from the moment the peer has accepted, whether there is something to say or not:
Meta's side stays quiet until it hears us, and hangs up when it hears nothing. Nothing goes out before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import Packet

from greenline.channels.webrtc.dtmf import PAUSE_PACKETS, PAUSES, check_keys, press
from greenline.channels.webrtc.opus import (
    CLOCK_RATE,
    FRAME_BYTES,
    FRAME_SECONDS,
    FRAME_TICKS,
    RATE,
    OpusEncoder,
    silence,
)

LARGEST_LAG_SECONDS: Final = 0.2
"""After a longer stall of the process the time is left out, instead of sent in a burst that the peer would drop."""
_TIME_BASE: Final = Fraction(1, CLOCK_RATE)


@dataclass(frozen=True, slots=True)
class _KeyPacket:
    """20 ms of a key; without a payload it is a pause."""

    payload: bytes | None


class OpusOut(MediaStreamTrack):
    """The track that aiortc sends, and where speech is written (`greenline.channels.live.models.AudioOut`)."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.packets = 0
        self.first_packet_at: float | None = None
        """Of the event loop's clock."""
        self.event_payload_type: int | None = None
        """How the peer takes keypad digits; None if it does not."""
        self._time = asyncio.get_running_loop().time
        self._opened = asyncio.Event()
        self._began = 0.0
        self._number = 0
        self._encoder: OpusEncoder | None = OpusEncoder()
        self._line: deque[memoryview | _KeyPacket] = deque()
        """Speech and keys, in the order in which they go out."""
        self._unsent = 0
        """Bytes of speech in ``_line``."""
        self._unpressed = 0
        """Packets of keys there."""
        self._speaking = False
        self._tell_sounding: Callable[[], None] | None = None
        self._tell_held_up: Callable[[float], None] | None = None
        self._key_time: int | None = None
        self._stamp: tuple[int | None, bool] = (None, False)

    # What is said

    @property
    def rate(self) -> int:
        """Samples a second that `write` takes."""
        return RATE

    @property
    def queued(self) -> float:
        """Seconds that are written or pressed, and not yet sent; after `stop` those that never will be."""
        return self._unsent / 2 / RATE + self._unpressed * FRAME_SECONDS

    def write(self, pcm: bytes, event_id: int, alignment: object = None) -> None:
        """Add 16-bit speech of the turn ``event_id``; may run ahead of real time."""
        self._catch_up()
        if pcm and self.readyState == "live":
            self._line.append(memoryview(pcm))
        self._unsent += len(pcm)

    def once_sounding(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` when the next packet of speech that follows silence goes out; `clear` forgets it."""
        self._tell_sounding = tell

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """Call ``tell`` with the seconds by which a stall of the process delays what was not sent."""
        self._tell_held_up = tell

    def clear(self) -> float:
        """Stop speaking at once; returns the seconds that were not sent. Keys go out all the same."""
        self._catch_up()
        left = self._unsent / 2 / RATE
        self._tell_sounding = None
        self._line = deque(item for item in self._line if isinstance(item, _KeyPacket))
        self._unsent = 0
        return left

    def press(self, digits: str) -> None:
        """Send keypad digits after what was written so far. ``w`` is half a second of pause, ``W`` a whole one.

        Raises ``ValueError`` when the peer takes no digits, or no keypad has them.
        """
        if self.event_payload_type is None:
            raise ValueError("The other side takes no keypad digits.")
        check_keys(digits)
        for digit in digits:
            pause = [_KeyPacket(None)] * (PAUSES.get(digit) or PAUSE_PACKETS)
            packets = pause if digit in PAUSES else [*map(_KeyPacket, press(digit)), *pause]
            self._line.extend(packets)
            self._unpressed += len(packets)

    def open(self) -> None:
        """Begin to send: the peer has accepted."""
        if not self._opened.is_set():
            self._began = self._time()
            self._opened.set()

    # What is sent

    async def recv(self) -> Packet[Any]:
        """The next packet, when it is due. Raises ``MediaStreamError`` after the end."""
        await self._opened.wait()
        await self._pace()
        if self.readyState != "live":
            raise MediaStreamError
        head = self._line[0] if self._line else None
        # The end of what was said comes out with one frame more: a key waits for it.
        pressed = isinstance(head, _KeyPacket) and not self._speaking
        data, time = self._next_key() if pressed else self._next_sound()
        packet = Packet(data)
        packet.pts = time
        packet.time_base = _TIME_BASE
        self._number += 1
        return packet

    def stamp(self, packet: bytes) -> bytes:
        """The RTP packet that goes out, with marker and payload type of what `recv` has just returned."""
        payload_type, marker = self._stamp
        self.packets += 1
        if self.first_packet_at is None:
            self.first_packet_at = self._time()
        if marker and payload_type is None and self._tell_sounding is not None:
            tell, self._tell_sounding = self._tell_sounding, None
            tell()
        kind = packet[1] & 0x7F if payload_type is None else payload_type
        return bytes((packet[0], marker << 7 | kind)) + packet[2:]

    def stop(self) -> None:
        """As aiortc's; a waiting `recv` ends. What was not sent still counts: nobody has heard it."""
        super().stop()
        self._tell_sounding = None
        self._line.clear()
        self._unpressed = 0
        self._encoder = None  # its threads live as long as it does, and this until the garbage is collected
        self._opened.set()

    async def _pace(self) -> None:
        if self._late < 0:
            await asyncio.sleep(-self._late)
        self._catch_up()

    @property
    def _late(self) -> float:
        """Seconds since the next packet was due."""
        return self._time() - (self._began + self._number * FRAME_SECONDS)

    def _catch_up(self) -> None:
        """After a long stall leave the time out."""
        if not self._opened.is_set() or self.readyState != "live" or self._late <= LARGEST_LAG_SECONDS:
            return
        packets = int(self._late / FRAME_SECONDS)
        self._number += packets
        if self._tell_held_up is not None:
            self._tell_held_up(packets * FRAME_SECONDS)

    def _next_sound(self) -> tuple[bytes, int]:
        time = self._number * FRAME_TICKS
        was_speaking, self._speaking = self._speaking, self._speech is not None
        self._stamp = (None, self._speaking and not was_speaking)
        encoder = self._encoder
        if encoder is None or not (self._speaking or was_speaking):
            return silence(), time
        # The encoder looks 6.5 ms ahead: one frame more brings out the end of what was said.
        return encoder.encode(self._take() if self._speaking else b""), time

    @property
    def _speech(self) -> memoryview | None:
        """What is to be said now."""
        head = self._line[0] if self._line else None
        return head if isinstance(head, memoryview) else None

    def _take(self) -> bytes:
        frame = bytearray()
        while (pcm := self._speech) is not None and len(frame) < FRAME_BYTES:
            self._line.popleft()
            wanted = FRAME_BYTES - len(frame)
            frame += pcm[:wanted]
            if len(pcm) > wanted:
                self._line.appendleft(pcm[wanted:])
        self._unsent -= len(frame)
        return bytes(frame)

    def _next_key(self) -> tuple[bytes, int]:
        key = self._line.popleft()
        payload = key.payload if isinstance(key, _KeyPacket) else None
        self._unpressed -= 1
        time = self._number * FRAME_TICKS
        if payload is None:
            self._key_time = None
            self._stamp = (None, False)
            return silence(), time
        starts = self._key_time is None
        if self._key_time is None:
            self._key_time = time
        self._stamp = (self.event_payload_type, starts)
        return payload, self._key_time


class StampedTransport:
    """Stands between aiortc's sender and its transport, as the sender knows one payload type and no pauses."""

    def __init__(self, transport: Any, track: OpusOut) -> None:
        self._transport = transport
        self._track = track

    async def _send_rtp(self, data: bytes) -> None:
        is_rtcp = 192 <= data[1] <= 223  # RFC 5761, 4
        await self._transport._send_rtp(data if is_rtcp else self._track.stamp(data))  # noqa: SLF001 - aiortc's own way

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
