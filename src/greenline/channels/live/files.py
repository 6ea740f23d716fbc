"""The files of one live conversation: which there are, and what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import structlog

from greenline.conversations.events import Event, UserMessage
from greenline.conversations.files import ConversationFile, known_files, list_files, open_file, read_file
from greenline.engine.files import Shown, earlier, lost
from greenline.llm.models import FilePart
from greenline.store.objects import ObjectMissing, Objects, StorageFault
from greenline.store.outage import DATABASE_ERRORS
from greenline.store.pool import Pool

log = structlog.get_logger(__name__)

CHECK_SECONDS: Final = 2.0
"""What the person sends next waits meanwhile."""


class Files:
    """Those of the conversation ``conversation_id``."""

    def __init__(self, pool: Pool, objects: Objects, workspace_id: str, conversation_id: str) -> None:
        self._pool = pool
        self._objects = objects
        self._workspace_id = workspace_id
        self._conversation_id = conversation_id
        self._whole: dict[str, Shown] = {}
        self._named: dict[str, Shown] = {}

    async def unknown(self, file_ids: Sequence[str]) -> tuple[str, ...]:
        """Which of them the conversation does not have; none while nobody can tell, since the database is away."""
        if not file_ids:
            return ()
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                known = await known_files(self._pool, self._workspace_id, self._conversation_id, file_ids)
        except DATABASE_ERRORS as error:
            log.warning("files.unchecked", conversation_id=self._conversation_id, error=str(error))
            return ()
        return tuple(file_id for file_id in file_ids if file_id not in known)

    async def shown(self, journal: Iterable[Event], room: int) -> Mapping[str, Shown]:
        """The files that the person has sent, by id: the newest ``room`` of them, and the names of the others.

        Each is read once. Unknown ones are left out, of lost ones only the name is known.
        """
        sent = [file_id for event in journal if isinstance(event, UserMessage) for file_id in event.file_ids]
        kept = set(list(dict.fromkeys(reversed(sent)))[:room])
        for file_id in kept - self._whole.keys():
            file = await open_file(self._pool, self._workspace_id, self._conversation_id, file_id)
            if file is not None:
                self._whole[file_id] = await self._read(file)
        self._whole = {file_id: file for file_id, file in self._whole.items() if file_id in kept}
        if unnamed := set(sent) - kept - self._named.keys():
            self._named |= await self._names(unnamed)
        return {**self._named, **self._whole}

    async def _names(self, file_ids: Collection[str]) -> dict[str, Shown]:
        files = await list_files(self._pool, self._workspace_id, self._conversation_id)
        return {file.id: earlier(file.filename) for file in files if file.id in file_ids}

    async def _read(self, file: ConversationFile) -> Shown:
        try:
            return FilePart(file.mime_type, file.filename, await read_file(self._objects, file))
        except (ObjectMissing, StorageFault):
            log.warning("file.lost", file_id=file.id)
            return lost(file.filename)
