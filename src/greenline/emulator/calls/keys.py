"""Keys of a telephone in a call (RFC 4733): read from the packets that come, put in the place of sound that goes.

Stands between aiortc's media and its DTLS transport, as aiortc knows nothing of keys. A packet of a key shares the
sequence numbers of the sound, so it is handed on as silence: a hole would hold up what follows.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiortc.rtp import RtpPacket

KEYS: Final = "0123456789*#ABCD"
"""Events 0 to 15 (RFC 4733, 3.2)."""
_EVENT: Final = struct.Struct("!BBH")
_VOLUME: Final = 10
_TONE_PACKETS: Final = 8
_END_PACKETS: Final = 3
"""The end is sent three times, as it may be lost (RFC 4733, 2.5.1.4)."""
_PAUSE_PACKETS: Final = 5
_STEP: Final = 160
"""20 ms in units of 1/8000 s."""
_SILENCE: Final = {0: (b"\xff" * 160, 160), 8: (b"\xd5" * 160, 160)}
"""20 ms of each payload type's silence, and the ticks that they last; other types are Opus."""
_OPUS_SILENCE: Final = (b"\xf8\xff\xfe", 960)


class Keypad:
    """The keys of one call, in both directions. ``on_key`` gets each key of the other side when it goes down."""

    def __init__(self, on_key: Callable[[str], None]) -> None:
        self.event_type = 0
        """The payload type of keys; set when the descriptions are known."""
        self.last_packet_at = 0.0
        """When anything came, reports included; of ``time.monotonic``."""
        self._on_key = on_key
        self._unsent: deque[bytes | None] = deque()
        self._key_time: int | None = None
        self._sound_type: int | None = None
        self._event: tuple[int, int] | None = None
        """Timestamp and first sequence number of the key that comes in."""

    @property
    def pressing(self) -> bool:
        """Whether keys wait to be sent."""
        return bool(self._unsent)

    def press(self, keys: str) -> None:
        """Send keys, 160 ms each; sound waits meanwhile. Raises ``ValueError`` for what no keypad has."""
        if not keys or any(key not in KEYS for key in keys):
            raise ValueError(f"A keypad has {KEYS}.")
        for key in keys:
            code = KEYS.index(key)
            for number in range(1, _TONE_PACKETS + 1):
                self._unsent.append(_EVENT.pack(code, _VOLUME, number * _STEP))
            for _ in range(_END_PACKETS):
                self._unsent.append(_EVENT.pack(code, 0x80 | _VOLUME, _TONE_PACKETS * _STEP))
            self._unsent.extend([None] * _PAUSE_PACKETS)

    def install(self, transport: Any) -> None:
        """Stand before what an aiortc transport sends and receives."""
        send, take, take_report = transport._send_rtp, transport._handle_rtp_data, transport._handle_rtcp_data  # noqa: SLF001 - aiortc has no other place for it

        async def sent(data: bytes) -> None:
            await send(data if 192 <= data[1] <= 223 else self._outgoing(data))  # RFC 5761, 4

        async def taken(data: bytes, arrival_time_ms: int) -> None:
            self.last_packet_at = time.monotonic()
            if (sound := self._incoming(data)) is not None:
                await take(sound, arrival_time_ms=arrival_time_ms)

        async def reported(data: bytes) -> None:
            self.last_packet_at = time.monotonic()
            await take_report(data)

        transport._send_rtp, transport._handle_rtp_data, transport._handle_rtcp_data = sent, taken, reported  # noqa: SLF001 - as above

    def _outgoing(self, data: bytes) -> bytes:
        payload = self._unsent.popleft() if self._unsent else None
        if payload is None:
            self._key_time = None
            return data
        packet = RtpPacket.parse(data)
        begins = self._key_time is None
        if self._key_time is None:
            self._key_time = packet.timestamp
        key = RtpPacket(self.event_type, int(begins), packet.sequence_number, self._key_time, packet.ssrc, payload)
        return key.serialize()

    def _incoming(self, data: bytes) -> bytes | None:
        """The sound in a packet: silence for a key's, None for a key before any sound."""
        kind = data[1] & 0x7F
        if kind != self.event_type:
            self._sound_type = kind
            return data
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return None
        if self._event is not None and (packet.timestamp - self._event[0]) & 0xFFFFFFFF >= 0x80000000:
            return None  # of a key before, too late
        if self._event is None or self._event[0] != packet.timestamp:
            self._event = (packet.timestamp, packet.sequence_number)
            if len(packet.payload) >= _EVENT.size and packet.payload[0] < len(KEYS):
                self._on_key(KEYS[packet.payload[0]])
        if self._sound_type is None:
            return None
        silence, ticks = _SILENCE.get(self._sound_type, _OPUS_SILENCE)
        since = (packet.sequence_number - self._event[1]) & 0xFFFF
        moment = (packet.timestamp + since * ticks) & 0xFFFFFFFF
        return RtpPacket(self._sound_type, 0, packet.sequence_number, moment, packet.ssrc, silence).serialize()
