"""One call: its state, its timeline, and what the person heard."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from av import AudioFrame, AudioResampler

from greenline.emulator.calls.calling import g711
from greenline.emulator.calls.peer import HEARD_RATE, LOUD, RATE, Peer, loudness
from greenline.emulator.world import Number, Person

State = Literal["connecting", "ringing", "rejected", "active", "ended"]
GAP_SECONDS: Final = 0.3
"""Silence that ends a stretch of voice in the timeline."""


@dataclass
class Call:
    """A call between a person and a number. ``direction`` is Meta's: who began it."""

    id: str
    number: Number
    person: Person
    direction: Literal["USER_INITIATED", "BUSINESS_INITIATED"]
    at: float
    sound_seconds: float
    """How much of what the person hears is kept."""
    state: State = "connecting"
    accepted_sdp: str | None = None
    callback_data: str | None = None
    payloads: dict[str, str] = field(default_factory=dict)
    """What the business wrote into the button or the link by which the person calls: ``cta_payload``,
    ``deeplink_payload``."""
    started_at: float | None = None
    ended_at: float | None = None
    ended_by: str | None = None
    error: int | None = None
    early_packets: int = 0
    """Packets of sound before the call was accepted: they were lost on the person."""
    timeline: list[dict[str, Any]] = field(default_factory=list)
    voiced: list[list[float]] = field(default_factory=list)
    """Stretches of voice that the person heard: beginning and end in seconds since the call began."""
    early_voice: bool = False
    """Whether the business hears the person before they accept."""
    orders: frozenset[str] = frozenset()
    """What Meta makes of the call for the business: ``recording``, ``transcription``."""
    base_url: str = ""
    """Where the business reaches the Graph, for addresses of files."""
    tape: Any = field(default=None, repr=False)
    """Both sides, while they are recorded (`greenline.emulator.calls.recording.Tape`)."""
    keys: str = ""
    """Keys that the business pressed since the call was accepted."""
    sound_forgotten: bool = False
    """Whether what the person heard was let go, for newer calls."""
    peer: Peer = field(init=False, repr=False)
    phone: Peer | None = field(default=None, repr=False)
    """The browser that plays the person, if one does."""
    browsers: int = 0
    """How many have played the person so far, one after the other."""
    play: Any = field(default=None, repr=False)
    """The script to which the person keeps, if there is one (`greenline.emulator.calls.script.Play`)."""
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self._sound = bytearray()
        self._resampler = AudioResampler(format="s16", layout="mono", rate=HEARD_RATE)
        self.peer = Peer(self.hear, lite=True, on_key=self.hear_key, g711=g711(self.number))

    @property
    def occupies_phone(self) -> bool:
        """Whether the person's phone knows of the call: they dial, are rung, or speak."""
        dials = self.state == "connecting" and self.direction == "USER_INITIATED"
        return dials or self.state in ("ringing", "active")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state == "ended"

    def note(self, what: str, **more: Any) -> None:
        """Add something to the timeline."""
        self.timeline.append({"ms": round((time.monotonic() - self.began) * 1000), "what": what, **more})
        self.changed.set()

    def hear(self, pcm: bytes) -> None:
        """Sound of the business, 16-bit mono PCM of 48 kHz."""
        if self.state == "ended":
            return  # on its way when the call ended
        if self.state != "active":
            if not self.early_packets:
                self.note("early_audio")
            self.early_packets += 1
            return
        now = time.monotonic() - self.began
        if not self._sound:
            self.note("first_audio")
        if loudness(pcm) > LOUD:
            if self.voiced and now - self.voiced[-1][1] < GAP_SECONDS:
                self.voiced[-1][1] = round(now, 3)
            else:
                self.voiced.append([round(now, 3), round(now, 3)])
        if self.heard_seconds < self.sound_seconds:
            self._keep(pcm)
        if self.tape is not None:
            self.tape.hear(pcm)
        if self.phone is not None:
            self.phone.mouth.say(pcm, live=True)

    def announce(self, pcm: bytes) -> None:
        """Meta says something to both sides."""
        self.note("announcement")
        self.peer.mouth.say(pcm)
        self._keep(pcm)
        if self.phone is not None:
            self.phone.mouth.say(pcm)

    def hear_key(self, key: str) -> None:
        """The business pressed a key."""
        if self.state == "active":
            self.keys += key
            self.note("heard_key", key=key)

    def press(self, keys: str) -> None:
        """The person presses keys. Raises ``ValueError`` for what no keypad has."""
        if self.state == "active":
            self.peer.keypad.press(keys)
            self.note("pressed", keys=keys)

    def say(self, pcm: bytes, *, live: bool = False) -> None:
        """Sound of the person, 16-bit mono PCM of 48 kHz, all of it or, ``live``, as it comes."""
        if self.can_speak:
            self.peer.mouth.say(pcm, live=live)

    @property
    def can_speak(self) -> bool:
        """Whether the business hears the person now."""
        return self.state == "active" or (self.state == "ringing" and self.early_voice)

    @property
    def heard(self) -> bytes:
        """What the person heard, mono PCM of 16 kHz."""
        return bytes(self._sound)

    @property
    def heard_seconds(self) -> float:
        """How much is kept of what the person heard."""
        return len(self._sound) / 2 / HEARD_RATE

    def forget_sound(self) -> None:
        """Let go of what the person heard."""
        self.sound_forgotten = self.sound_forgotten or bool(self._sound)
        self._sound.clear()

    def _keep(self, pcm: bytes) -> None:
        frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = RATE
        for part in self._resampler.resample(frame):
            self._sound += bytes(part.planes[0])[: part.samples * 2]

    def shown(self) -> dict[str, Any]:
        """As the control API shows a call."""
        return {
            "call_id": self.id,
            "phone_number_id": self.number.id,
            "person_id": self.person.id,
            "direction": self.direction,
            "state": self.state,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "ended_by": self.ended_by,
            "error": self.error,
            "packets": self.peer.packets,
            "early_packets": self.early_packets,
            "lost_packets": self.peer.way.lost,
            "keys": self.keys,
            "browsers": self.browsers,
            "script": self.play.shown() if self.play else None,
            "heard_seconds": round(self.heard_seconds, 2),
            "voiced": self.voiced,
            "timeline": self.timeline,
        }
