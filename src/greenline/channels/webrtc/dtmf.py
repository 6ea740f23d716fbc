"""Keypad digits as RTP events (RFC 4733): what a packet holds, and the packets of a key press."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DIGITS: Final = "0123456789*#ABCD"
"""Event codes 0 to 15 (RFC 4733, 3.2)."""
CLOCK_RATE: Final = 8000
"""Meta: telephone-event at 8000 Hz only."""
PACKET_SECONDS: Final = 0.02
TONE_PACKETS: Final = 8
"""160 ms: well above the 40 ms that receivers ask for (ITU-T Q.24)."""
END_PACKETS: Final = 3
"""The end of an event is sent three times, as it may be lost (RFC 4733, 2.5.1.4)."""
PAUSE_PACKETS: Final = 5
"""100 ms between two digits, so that the same digit twice is two."""
PAUSES: Final = {"w": 25, "W": 50}
"""Pauses that may stand among keys, in packets."""
_VOLUME: Final = 10  # -10 dBm0
_PAYLOAD: Final = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A packet's event. ``duration`` is in units of 1/8000 s since the key went down."""

    digit: str
    is_end: bool
    duration: int


def check_keys(keys: str) -> None:
    """Raises ``ValueError`` when there are none, or no keypad has them."""
    if not keys or any(key not in DIGITS and key not in PAUSES for key in keys):
        raise ValueError(f"A keypad has {DIGITS}; w and W are pauses.")


def read_event(payload: bytes) -> KeyEvent | None:
    """The event of a packet; None for other tones (fax, flash) and for what is too short."""
    if len(payload) < _PAYLOAD.size:
        return None
    code, flags, duration = _PAYLOAD.unpack_from(payload)
    return KeyEvent(DIGITS[code], bool(flags & 0x80), duration) if code < len(DIGITS) else None


def press(digit: str) -> Iterator[bytes]:
    """The payloads of one key press, one for each 20 ms; all of them belong to the same RTP timestamp."""
    code = DIGITS.index(digit)
    step = int(CLOCK_RATE * PACKET_SECONDS)
    for number in range(1, TONE_PACKETS + 1):
        yield _PAYLOAD.pack(code, _VOLUME, number * step)
    for _ in range(END_PACKETS):
        yield _PAYLOAD.pack(code, 0x80 | _VOLUME, TONE_PACKETS * step)
