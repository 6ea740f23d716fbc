"""The bot of `calls.py` on Greenline: the media of calls, always speaking, always listening."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
import voice_script as script

from greenline.channels.webrtc.media import ConnectionLost, MediaCall
from greenline.logs import configure_logging

AHEAD_SECONDS = 3.0


class GreenlineCall:
    """A call with sound both ways."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._onsets = script.Onsets()
        self._media = MediaCall(on_pcm=self._onsets.hear, on_digit=lambda digit: None)
        self._speaking: asyncio.Task[None] | None = None

    async def answer(self, offer: str) -> str:
        """Its description."""
        answer = await self._media.answer(offer)
        self._speaking = asyncio.create_task(self._speak())
        return answer

    async def _speak(self) -> None:
        await self._media.start()
        try:
            await self._media.connected()
        except ConnectionLost:
            return
        self._media.accepted()
        while True:
            if self._media.out.queued < AHEAD_SECONDS:
                self._media.out.write(script.story(), 1)
            await asyncio.sleep(1)

    def figures(self) -> dict[str, Any]:
        """When it heard sounds begin."""
        return {"onsets": self._onsets.times}

    async def close(self) -> None:
        """Hang up."""
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
        await self._media.close()


if __name__ == "__main__":
    configure_logging("warning", "console")
    script.story()
    uvloop.run(script.serve(GreenlineCall))
