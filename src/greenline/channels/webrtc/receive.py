"""The way in: packets put in order, decoded at once, and their holes filled.

A listener on a server needs no playout clock. What is in order is handed on when it arrives; behind a hole we wait
for as long as this network has shown that it may pay, and go on with the sound before the hole in its place. Peers
that stop sending (mute, discontinuous transmission, loss) are heard as silence: who waits for the end of speech must
hear it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from greenline.channels.webrtc.conceal import Concealment
from greenline.channels.webrtc.dtmf import read_event
from greenline.channels.webrtc.opus import (
    CLOCK_RATE,
    FRAME_BYTES,
    FRAME_SECONDS,
    FRAME_TICKS,
    RATE,
    OpusDecoder,
    ticks,
)

log = structlog.get_logger(__name__)

ORDERLY_SECONDS: Final = 0.005
"""How long a missing packet is waited for where none ever came out of order: it is lost, as a rule."""
DISORDERLY_SECONDS: Final = 0.06
"""And where one did: three packets' time; later ones come too late to be understood."""
STARVED_SECONDS: Final = 0.4
"""When nothing came for so long, the peer is taken to be silent. What a network or a busy machine holds up comes
sooner as a rule, and follows what came before it: silence between the two would tear a word apart."""
HELD_PACKETS: Final = 50
"""Behind a hole at most a second is kept."""
LARGEST_JUMP_TICKS: Final = CLOCK_RATE
"""A leap of a peer's timestamps above a second, beyond what was waited for, is a new beginning and not a hole."""
LARGEST_STEP: Final = 3000
"""A leap of a minute's sequence numbers is a new beginning as well (RFC 3550, A.1: MAX_DROPOUT)."""
_SILENCE: Final = bytes(FRAME_BYTES)


class Packet(Protocol):
    """What is read of an RTP packet."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


@dataclass(slots=True)
class Received:
    """What came in so far."""

    packets: int = 0
    lost: int = 0
    late: int = 0
    """Packets that came after their place had been given up, and repeated ones."""
    undecodable: int = 0
    digits: int = 0
    filled_seconds: float = 0.0


class OpusIn:
    """Takes the place of aiortc's jitter buffer in a receiver, and has its shape: `add` and ``capacity``.

    ``on_pcm`` gets 16-bit PCM of `RATE`, in pieces of any length; ``on_digit`` each key that the person pressed.
    ``on_fault`` gets what a listener raised: an exception must not reach the transport, which it would end.
    """

    capacity = HELD_PACKETS

    def __init__(
        self,
        *,
        event_payload_type: int,
        on_pcm: Callable[[bytes], None],
        on_digit: Callable[[str], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self.received = Received()
        self.first_packet_at: float | None = None
        """Of the event loop's clock, like `last_packet_at`."""
        self.last_packet_at: float | None = None
        self.heard_at = 0.0
        """Where, by the peer's clock, the sound begins that ``on_pcm`` gets: seconds after its first packet.

        Silence that stands in while nothing comes may turn out to be sound that was late, which has its own place.
        """
        self._event_payload_type = event_payload_type
        self._on_pcm = on_pcm
        self._on_digit = on_digit
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()
        self._decoder = OpusDecoder()
        self._concealment = Concealment()
        self._lost = False
        """Whether packets before the next one were given up: a leap of the time without a loss is a pause."""
        self._held: dict[int, Packet] = {}
        self._ssrc: int | None = None
        self._next: int | None = None
        self._given_up: deque[int] = deque(maxlen=HELD_PACKETS)
        self._patience = ORDERLY_SECONDS
        self._expected: int | None = None
        """The timestamp that follows what was handed on."""
        self._time = 0
        """The same, counted from the first packet."""
        self._ahead = 0
        """Ticks of silence that were handed on while nothing came."""
        self._last_event: int | None = None
        self._delivered_at = 0.0
        self._gap: asyncio.TimerHandle | None = None
        self._hunger: asyncio.TimerHandle | None = None
        self._looks_at = 0.0
        """When `_starve` is due."""
        self._closed = False

    def add(self, packet: Packet) -> tuple[bool, None]:
        """Take a packet. The answer tells aiortc that there is nothing to decode and nothing to ask for again."""
        if not self._closed:
            try:
                self._add(packet)
            except Exception as error:  # noqa: BLE001 - the boundary of a listener: it ends the call, not the transport
                self._on_fault(error)
        return False, None

    def close(self) -> None:
        """Hand nothing on any more, and keep nothing."""
        self._closed = True
        for timer in (self._gap, self._hunger):
            if timer is not None:
                timer.cancel()
        self._held.clear()

    def _add(self, packet: Packet) -> None:
        now = self._loop.time()
        self.received.packets += 1
        self.last_packet_at = now
        if self.first_packet_at is None:
            self.first_packet_at = self._delivered_at = now
            self._look_again(STARVED_SECONDS)
        if self._next is None or packet.ssrc != self._ssrc:
            self._begin(packet)
        distance = (packet.sequence_number - self._begun) & 0xFFFF
        if LARGEST_STEP <= distance <= 0x10000 - LARGEST_STEP:
            self._begin(packet)
        elif distance >= 0x8000 or packet.sequence_number in self._held:
            self.received.late += 1
            if packet.sequence_number in self._given_up:
                self._patience = DISORDERLY_SECONDS
            return
        self._held[packet.sequence_number] = packet
        self._drain()

    @property
    def _begun(self) -> int:
        assert self._next is not None  # noqa: S101 - set by the first packet
        return self._next

    def _begin(self, packet: Packet) -> None:
        """A stream starts, or starts anew."""
        self._held.clear()
        self._ssrc, self._next, self._expected = packet.ssrc, packet.sequence_number, None

    def _drain(self) -> None:
        awaited = self._next
        while (packet := self._held.pop(self._begun, None)) is not None:
            self._next = (self._begun + 1) & 0xFFFF
            self._deliver(packet)
        if self._gap is not None and self._next != awaited:  # the next hole has a time of its own
            self._gap.cancel()
            self._gap = None
        if len(self._held) >= HELD_PACKETS:
            self._skip()
        elif self._held and self._gap is None:
            self._gap = self._loop.call_later(self._patience, self._give_up)

    def _give_up(self) -> None:
        self._gap = None
        try:
            self._skip()
        except Exception as error:  # noqa: BLE001 - as in `add`
            self._on_fault(error)

    def _skip(self) -> None:
        """Go on behind the hole."""
        if self._held:
            nearest = min(self._held, key=lambda number: (number - self._begun) & 0xFFFF)
            missing = (nearest - self._begun) & 0xFFFF
            self._given_up.extend((self._begun + n) & 0xFFFF for n in range(min(missing, HELD_PACKETS)))
            self.received.lost += missing
            self._next, self._lost = nearest, True
            self._drain()

    def _deliver(self, packet: Packet) -> None:
        if packet.payload_type == self._event_payload_type:
            self._press(packet)
            return
        self._fill(packet.timestamp)
        self._expected = (packet.timestamp + ticks(packet.payload)) & 0xFFFFFFFF
        self._delivered_at = self._loop.time()
        try:
            sound = self._decoder.decode(packet.payload)
        except ValueError:
            self.received.undecodable += 1
            sound = self._concealment.fill(_pcm_bytes(ticks(packet.payload)))
        self._concealment.hear(sound)
        self._hand_on(sound, self._time)
        self._time += ticks(packet.payload)

    def _fill(self, timestamp: int) -> None:
        """Silence for the time between what was handed on and ``timestamp``, unless it was heard already."""
        ahead, self._ahead = self._ahead, 0
        lost, self._lost = self._lost, False
        missing = None if self._expected is None else (timestamp - self._expected) & 0xFFFFFFFF
        if missing is None or missing > ahead + LARGEST_JUMP_TICKS:  # a new beginning: our own clock has to do
            self._time += int((self._loop.time() - self._delivered_at) * CLOCK_RATE)
            return
        begins, self._time = self._time + ahead, self._time + missing
        if missing <= ahead:
            return
        length = _pcm_bytes(missing - ahead)
        if lost and not ahead:
            self.received.filled_seconds += length / 2 / RATE
            self._hand_on(self._concealment.fill(length), begins)
        else:
            self._silence(length, begins)

    def _press(self, packet: Packet) -> None:
        event = read_event(packet.payload)
        if event is not None and packet.timestamp != self._last_event:  # all packets of a key have one timestamp
            self._last_event = packet.timestamp
            self.received.digits += 1
            self._on_digit(event.digit)

    def _starve(self) -> None:
        """Runs when the peer may have gone silent, and then every 20 ms until it speaks."""
        now = self._loop.time()
        silent, late = now - self._delivered_at, now - self._looks_at
        if silent < STARVED_SECONDS:
            self._look_again(STARVED_SECONDS - silent)
            return
        self._look_again(FRAME_SECONDS)
        if self._held:  # it speaks: `_give_up` ends the waiting for what is missing
            return
        if late > FRAME_SECONDS:  # this process stood still: what came meanwhile is still to be read
            return
        due = int((silent - self._ahead / CLOCK_RATE) / FRAME_SECONDS)
        try:
            if due > 0:
                begins = self._time + self._ahead
                self._ahead += due * FRAME_TICKS
                self._silence(due * FRAME_BYTES, begins)
        except Exception as error:  # noqa: BLE001 - as in `add`
            self._on_fault(error)

    def _look_again(self, seconds: float) -> None:
        self._looks_at = self._loop.time() + seconds
        self._hunger = self._loop.call_later(seconds, self._starve)

    def _silence(self, length: int, begins: int) -> None:
        self.received.filled_seconds += length / 2 / RATE
        self._hand_on(_SILENCE if length == FRAME_BYTES else bytes(length), begins)

    def _hand_on(self, pcm: bytes, begins: int) -> None:
        self.heard_at = begins / CLOCK_RATE
        self._on_pcm(pcm)


def _pcm_bytes(count: int) -> int:
    return count * RATE // CLOCK_RATE * 2
