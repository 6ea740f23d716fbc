"""The files of a chat: looked at once each, to show their size, and of a sound its length and waveform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from greenline.web.chat import Bubble, File
from greenline.web.control import Control, EmulatorGone
from greenline.web.sound import Sound, sound_of


class Files:
    """What is known of files, by their id at Meta."""

    def __init__(self, emulator: Control) -> None:
        self._emulator = emulator
        self._known: dict[str, tuple[int | None, Sound | None]] = {}

    async def described(self, bubbles: Sequence[Bubble]) -> list[Bubble]:
        """The bubbles, their files with size and sound."""
        return [replace(one, file=await self._described(one.file)) if one.file else one for one in bubbles]

    async def _described(self, file: File) -> File:
        if not file.media_id:
            return file
        if file.media_id not in self._known:
            self._known[file.media_id] = await self._look(file)
        size, sound = self._known[file.media_id]
        return replace(file, size=size, sound=sound)

    async def _look(self, file: File) -> tuple[int | None, Sound | None]:
        try:
            _, data = await self._emulator.file(file.media_id)
        except EmulatorGone:
            return None, None
        return len(data), await sound_of(data) if file.kind == "audio" else None
