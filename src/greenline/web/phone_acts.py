"""What the person who is played does: each act goes to the emulator, and a failure is told on the page."""

from __future__ import annotations

from collections.abc import Awaitable

from nicegui import ui

from greenline.web.chat import Bubble
from greenline.web.control import Control, EmulatorGone, Permission, SentFile


class Acts:
    """The person ``person_id``, who can be changed, with one number of the business, which has ``wa_id``."""

    def __init__(self, emulator: Control, number_id: str, wa_id: str, person_id: str) -> None:
        self.person_id = person_id
        self._emulator = emulator
        self._number = number_id
        self._wa_id = wa_id

    async def say(self, text: str, replied: Bubble | None) -> bool:
        """Write, in reply to a message if there is one; whether it went out."""
        context = {"from": self._wa_id, "id": replied.id} if replied else None
        return await self._try(self._emulator.say(self.person_id, self._number, text, context))

    async def send_file(self, person_id: str, file: SentFile) -> None:
        """Send a file as this person, for whom it was chosen."""
        await self._try(self._emulator.send_file(person_id, self._number, file))

    async def tap(self, message_id: str, place: int) -> None:
        """Tap a button or a row by its place in the message."""
        await self._try(self._emulator.tap(self.person_id, self._number, message_id, place))

    async def react(self, message_id: str, emoji: str) -> None:
        """React to a message."""
        await self._try(self._emulator.react(self.person_id, self._number, message_id, emoji))

    async def play(self, message_id: str) -> None:
        """Play a voice note."""
        await self._try(self._emulator.play(self.person_id, self._number, message_id))

    async def permit(self, message_id: str, answer: Permission) -> None:
        """Answer a request to be called."""
        await self._try(self._emulator.permit(self.person_id, self._number, message_id, answer))

    async def _try(self, call: Awaitable[None]) -> bool:
        try:
            await call
        except EmulatorGone as error:
            ui.notify(str(error), type="negative")
            return False
        return True
