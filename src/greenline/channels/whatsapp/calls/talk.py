"""What is said on a call: its media, and the conversation of the person with the agent that goes through them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

import structlog

from greenline.channels.webrtc.errors import UnusableSdp
from greenline.channels.webrtc.media import ConnectionLost, MediaCall
from greenline.channels.whatsapp.calls.agent import CallOut, Goodbye, Voice
from greenline.channels.whatsapp.calls.events import Happening, HungUp, MediaLost, MediaUp, NotPrepared, Prepared
from greenline.errors import GreenlineError

log = structlog.get_logger(__name__)

LAST_WORD_SECONDS: Final = 0.2
"""From the last packet to the hang-up: it waits in the phone's buffer for up to 0.1 s, and would never be heard."""
FAREWELL_SECONDS: Final = 2.0
"""Time for the conversation to write down its end, from the moment at which that is decided."""


class CallTalk:
    """That of the call ``call_id``, from `prepare` to `aclose`. ``tell`` takes what happens to it."""

    def __init__(self, call_id: str, tell: Callable[[Happening], None]) -> None:
        self._call_id = call_id
        self._tell = tell
        self._media: MediaCall | None = None
        self._voice: Voice | None = None
        self._conversation: asyncio.Task[Goodbye] | None = None
        self._hushed_at: float | None = None

    @property
    def met_voicemail(self) -> bool:
        """Whether a machine has answered, as the agent has found out."""
        return self._voice is not None and self._voice.met_voicemail

    @property
    def listens(self) -> bool:
        """Whether the conversation is under way."""
        return self._conversation is not None and not self._conversation.done() and self._hushed_at is None

    @property
    def statistics(self) -> dict[str, Any] | None:
        """Those of the media, if there are any."""
        return None if self._media is None else asdict(self._media.statistics())

    async def prepare(self, offer: str | None, agent: Callable[[CallOut], Awaitable[Voice]]) -> str | None:
        """Make ready to speak, and answer ``offer`` or make one. Returns the id of the conversation to be.

        ``agent`` gives the one that will speak. What comes of it is told; None when nothing did.
        """
        media = self._media = MediaCall(on_pcm=self._hear, on_digit=self._digit)
        try:
            voice = self._voice = await agent(media.out)
            sdp = await (media.offer() if offer is None else media.answer(offer))
        except (UnusableSdp, GreenlineError) as error:
            self._tell(NotPrepared(error.message))
            return None
        self._tell(Prepared(sdp))
        return voice.conversation_id

    async def connect(self, answer: str | None) -> None:
        """Open the media, and tell of them until they are lost."""
        media = self._media
        assert media is not None  # noqa: S101 - made by `prepare`, which comes before
        try:
            await (media.start() if answer is None else media.apply_answer(answer))
            await media.connected()
        except (UnusableSdp, ConnectionLost) as error:
            self._tell(MediaLost(str(error)))
            return
        self._tell(MediaUp())
        self._tell(MediaLost(await media.lost()))

    def speak(self, begun: Callable[[], None]) -> None:
        """Begin the conversation; ``begun`` is called as soon as `typed` takes something."""
        media, voice = self._media, self._voice
        assert media is not None  # noqa: S101 - it is spoken once the media are up
        assert voice is not None  # noqa: S101 - and that they are once it is prepared
        media.accepted()
        self._conversation = asyncio.create_task(voice.run(begun))

    async def wait_for_goodbye(self) -> None:
        """Tell of the end of the conversation, once its last words were heard."""
        assert self._conversation is not None  # noqa: S101 - begun by `speak`
        await asyncio.wait({self._conversation})
        goodbye = self._goodbye(self._conversation)
        if self._media is not None and not goodbye.failed:
            await self._media.played()
            await asyncio.sleep(LAST_WORD_SECONDS)
        self._tell(HungUp(goodbye.reason, goodbye.failed))

    def typed(self, text: str, wamid: str | None) -> bool:
        """Pass on what the person wrote in the chat; False where nobody `listens`, or it is too late for it."""
        return self.listens and self._voice is not None and self._voice.typed(text, wamid)

    def hush(self, reason: str) -> None:
        """Nothing is heard, said or done any more, while Meta may still have to be told."""
        if self._hushed_at is None and self._voice is not None:
            self._hushed_at = asyncio.get_running_loop().time()
            self._voice.end(reason)

    async def farewell(self) -> None:
        """Let the conversation end in its own words."""
        if self._conversation is not None and self._hushed_at is not None:
            waited = asyncio.get_running_loop().time() - self._hushed_at
            await asyncio.wait({self._conversation}, timeout=max(0.0, FAREWELL_SECONDS - waited))

    async def aclose(self) -> None:
        """Cut the conversation, and let go of the media."""
        if self._conversation is not None:
            self._conversation.cancel()
            await asyncio.gather(self._conversation, return_exceptions=True)
        if self._media is not None:
            with contextlib.suppress(ConnectionError):
                await self._media.close()

    def _goodbye(self, conversation: asyncio.Task[Goodbye]) -> Goodbye:
        """The boundary of a conversation: its failure ends the call, and so does the loss of its lease."""
        if conversation.cancelled():
            return Goodbye("The conversation was cut short.", failed=True)
        if (error := conversation.exception()) is not None:
            log.error("call.conversation_failed", call_id=self._call_id, exc_info=error)
            return Goodbye(f"The conversation failed: {type(error).__name__}", failed=True)
        return conversation.result()

    def _hear(self, pcm: bytes) -> None:
        if self._conversation is not None and self._voice is not None and self._media is not None:
            self._voice.hear(pcm, self._media.heard_at)

    def _digit(self, digit: str) -> None:
        if self._conversation is not None and self._voice is not None:
            self._voice.digit(digit)
