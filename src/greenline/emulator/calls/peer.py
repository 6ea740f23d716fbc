"""The relay's media of one call, by aiortc: ICE-lite, Opus, silent until the business has sent something.

The relay never sends a check, and is always controlled: a business that waits for checks waits for ever. What comes
before the call was accepted is thrown away, as on a phone that rings.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
import wave
from collections import deque
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from aioice.ice import CandidatePair, Connection
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from greenline.emulator.calls.keys import Keypad
from greenline.emulator.calls.network import Way
from greenline.emulator.calls.sdp import EVENT_TYPE, as_relay, event_type, only_shared, own_types, sound_types

RATE: Final = 48_000
FRAME: Final = 960
HEARD_RATE: Final = 16_000
LATE_SECONDS: Final = 0.3
"""So much later than it is due a frame of somebody who speaks live may come: silence before it would tear a word
apart."""
LOUD: Final = 300.0
"""Root mean square above which a frame of what is heard counts as voice."""


class Mouth(MediaStreamTrack):
    """What a person says: 20 ms frames in real time, silence where nothing was given.

    What they say live is waited for: it goes out as it comes.
    """

    kind = "audio"

    def __init__(self, may_begin: asyncio.Event, keypad: Keypad) -> None:
        super().__init__()
        self._may_begin = may_begin
        self._keypad = keypad
        self._unsaid: deque[bytes] = deque()
        self._is_live = False
        self._given = asyncio.Event()
        """Set while something waits to be said."""
        self._rest = b""
        self._count = 0
        self._began = 0.0
        self.heard_by: Callable[[bytes], None] = lambda pcm: None
        """Gets every frame that is said."""
        self.done = asyncio.Event()
        """Set while nothing waits to be said."""
        self.done.set()

    def say(self, pcm: bytes, *, live: bool = False) -> None:
        """Add 16-bit mono PCM of 48 kHz; after what is said ``live`` more is on its way."""
        self._is_live = live
        data = self._rest + pcm
        whole = len(data) // (FRAME * 2) * FRAME * 2
        self._rest = data[whole:]
        self._unsaid.extend(data[at : at + FRAME * 2] for at in range(0, whole, FRAME * 2))
        if self._unsaid:
            self.done.clear()
            self._given.set()

    async def recv(self) -> AudioFrame:
        """The next frame, at its time."""
        await self._may_begin.wait()
        if self.readyState != "live":
            raise MediaStreamError
        if not self._count:
            self._began = time.monotonic()
        wait = self._began + self._count * 0.02 - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        if self._is_live:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LATE_SECONDS):
                    await self._given.wait()
            self._is_live = bool(self._unsaid)
        speaks = self._unsaid and not self._keypad.pressing
        pcm = self._unsaid.popleft() if speaks else bytes(FRAME * 2)
        if not self._unsaid:
            self._given.clear()
            self.done.set()
        self.heard_by(pcm)
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._count * FRAME, Fraction(1, RATE)
        self._count += 1
        return frame


class Peer:
    """One end of a connection. ``heard`` gets 16-bit mono PCM of 48 kHz as it comes, ``on_key`` keys.

    ``g711``: the codecs that a relay takes besides Opus, of ``PCMA`` and ``PCMU``.
    """

    def __init__(
        self,
        heard: Callable[[bytes], None],
        *,
        lite: bool,
        on_key: Callable[[str], None] = lambda key: None,
        g711: Iterable[str] = (),
    ) -> None:
        self._lite = lite
        self._heard = heard
        self._g711 = tuple(g711)
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("track", self._listen)
        self._listeners: set[asyncio.Task[None]] = set()
        self._describing = asyncio.Lock()
        """Held while sockets are opened: closed meanwhile, aiortc would forget those that it has."""
        self.first_packet = asyncio.Event()
        self.keypad = Keypad(on_key)
        self.mouth = Mouth(self.first_packet, self.keypad)
        self.way = Way()
        self.packets = 0
        if not lite:
            self.first_packet.set()

    async def offer(self) -> str:
        """An offer as Meta's relay makes it."""
        async with self._describing:
            self._connection.addTrack(self.mouth)
            await self._connection.setLocalDescription(await self._connection.createOffer())
            self._be_relay(EVENT_TYPE)
        sdp: str = self._connection.localDescription.sdp
        return as_relay(sdp, setup="actpass", types=own_types(self._g711))

    async def apply_answer(self, answer: str) -> None:
        """Let a connection come up with whoever answered. Raises ``ValueError`` for what can't be used."""
        await self._be_told(only_shared(answer, self._g711), "answer")

    async def answer(self, offer: str, *, setup: str = "active") -> str:
        """The answer to an offer; a relay's says ``setup``, of which Meta has used all three.

        Raises ``ValueError`` for an offer that can't be used.
        """
        async with self._describing:
            return await self._answer(offer, setup)

    async def _answer(self, offer: str, setup: str) -> str:
        if not self._lite:
            await self._be_told(offer, "offer")
            self._connection.addTrack(self.mouth)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
            return str(self._connection.localDescription.sdp)
        await self._be_told(only_shared(offer, self._g711), "offer")
        self._connection.addTrack(self.mouth)
        self._transport._set_role("client" if setup == "active" else "server")  # noqa: SLF001 - aiortc would choose
        self._be_relay(event_type(offer))
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        types = sound_types(offer, self._g711)
        sdp: str = self._connection.localDescription.sdp
        return as_relay(sdp, setup=setup, types=types, events=self.keypad.event_type)

    async def close(self) -> None:
        """Hang up, and leave nothing behind."""
        self.first_packet.set()
        self.mouth.stop()
        await self.way.aclose()
        async with self._describing:
            await self._connection.close()
        for task in self._listeners:
            task.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)

    async def _be_told(self, sdp: str, kind: str) -> None:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, kind))
        except InvalidStateError:  # closed meanwhile
            raise
        except Exception as error:  # the boundary of a foreign description: aiortc raises whatever it leads to
            raise ValueError(f"{error!r}"[:300]) from error

    def _listen(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._hear(track))
        self._listeners.add(task)
        task.add_done_callback(self._listeners.discard)

    async def _hear(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            self.packets += 1
            self.first_packet.set()
            frame.pts = None
            for part in resampler.resample(frame):
                self._heard(bytes(part.planes[0])[: part.samples * 2])

    @property
    def _transport(self) -> Any:
        return self._connection.getTransceivers()[0].receiver.transport

    def _be_relay(self, events: int) -> None:
        """Only answer checks, whose MESSAGE-INTEGRITY aioice verifies; know keys, which are sent as ``events``."""
        self.keypad.event_type = events
        self.keypad.install(self._transport)
        ice = self._transport.transport
        connection: Connection = ice._connection  # noqa: SLF001 - aiortc has no lite mode
        connection.ice_controlling = False
        connection._tie_breaker = -1  # noqa: SLF001 - whoever wants to be controlled too gets 487, and no exchange of roles
        self.way.install(ice)

        async def wait_for_check(pair: CandidatePair) -> None:
            pair.state = CandidatePair.State.SUCCEEDED
            pair.nominated = pair.remote_nominated
            connection.check_complete(pair)

        async def never() -> None:
            await asyncio.Event().wait()

        connection.check_start = wait_for_check  # type: ignore[method-assign]
        connection.query_consent = never  # type: ignore[method-assign]


def decode_sound(data: bytes) -> bytes:
    """Any sound file as 16-bit mono PCM of 48 kHz. Raises ``ValueError`` for what holds no sound."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    pcm = bytearray()
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            for frame in [*container.decode(audio=0), None]:
                for part in resampler.resample(frame):
                    pcm += bytes(part.planes[0])[: part.samples * 2]
    except (av.FFmpegError, IndexError) as error:
        raise ValueError("no sound file that can be read") from error
    return bytes(pcm)


def loudness(pcm: bytes) -> float:
    """Root mean square of 16-bit PCM."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def wav(pcm: bytes, rate: int) -> bytes:
    """A WAV file of mono PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()
