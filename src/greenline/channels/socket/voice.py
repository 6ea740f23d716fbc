"""The agent's voice on a socket.

A client plays what it is sent at once and tells nothing of it, so that its place is estimated: what was written
plays in real time from its writing on.
"""

from __future__ import annotations

from collections.abc import Callable

from greenline.channels.socket.outgoing import Outgoing
from greenline.channels.socket.server_messages import audio
from greenline.speech.models import Alignment

BYTES_PER_SAMPLE = 2


class SocketVoice:
    """`greenline.channels.live.models.AudioOut` over a socket.

    ``encode`` turns PCM at ``rate`` into the announced format; ``now`` gives seconds of a clock that never jumps.
    """

    def __init__(
        self,
        outgoing: Outgoing,
        *,
        rate: int,
        encode: Callable[[bytes], bytes],
        now: Callable[[], float],
        audible: bool = True,
    ) -> None:
        self._outgoing = outgoing
        self._rate = rate
        self._encode = encode
        self._now = now
        self._audible = audible
        self._ends_at = 0.0
        self._tell_sounding: Callable[[], None] | None = None

    @property
    def rate(self) -> int:
        """Samples a second that `write` takes: those of the announced format."""
        return self._rate

    @property
    def queued(self) -> float:
        """Seconds that the client has still to play."""
        return max(0.0, self._ends_at - self._now())

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        """Send speech of the turn ``event_id``."""
        self._ends_at = self._now() + self.queued + len(pcm) / BYTES_PER_SAMPLE / self._rate
        if pcm and self._audible:
            self._outgoing.put(audio(self._encode(pcm), event_id, alignment), audio=True)
        if self._tell_sounding is not None:
            tell, self._tell_sounding = self._tell_sounding, None
            tell()

    def once_sounding(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` when the next sound is given to the socket."""
        self._tell_sounding = tell

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """Never told: the client goes on playing what it has."""

    def clear(self) -> float:
        """Send no more of what was written. The client stops at the interruption, which the session tells of."""
        unplayed = self.queued
        self._tell_sounding = None
        self._ends_at = self._now()
        self._outgoing.drop_audio()
        return unplayed
