"""The files of one live conversation: which there are, and what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import structlog

from greenline.conversations.events import Event, UserMessage
from greenline.conversations.files import ConversationFile, known_files, list_files, read_file
from greenline.engine.files import Room, Shown, earlier, lost
from greenline.llm.models import FilePart
from greenline.store.objects import PERSON_SECONDS, ObjectMissing, Objects, StorageFault, answering_by
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
        self._files: dict[str, ConversationFile] = {}
        self._whole: dict[str, Shown] = {}

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

    async def shown(self, journal: Iterable[Event], room: Room) -> Mapping[str, Shown]:
        """The files that the person has sent, by id: the newest, for which there is ``room``, and the others' names.

        Each is read once. Unknown ones are left out, of lost ones only the name is known.
        """
        sent = [file_id for event in journal if isinstance(event, UserMessage) for file_id in event.file_ids]
        if set(sent) - self._files.keys():
            files = await list_files(self._pool, self._workspace_id, self._conversation_id)
            self._files = {file.id: file for file in files}
        deadline = asyncio.get_running_loop().time() + PERSON_SECONDS
        whole: dict[str, Shown] = {}
        named: dict[str, Shown] = {}
        for file_id in dict.fromkeys(reversed(sent)):
            file = self._files.get(file_id)
            if file is None:
                continue
            if room.takes(file.size_bytes):
                if file_id not in self._whole:
                    self._whole[file_id] = await self._read(file, deadline)  # at once: an interruption ends it
                whole[file_id] = self._whole[file_id]
            else:
                named[file_id] = earlier(file.filename)
        self._whole = whole
        return {**named, **whole}

    async def _read(self, file: ConversationFile, deadline: float) -> Shown:
        try:
            async with answering_by(deadline):
                return FilePart(file.mime_type, file.filename, await read_file(self._objects, file))
        except (ObjectMissing, StorageFault) as error:
            reason = error.reason if isinstance(error, StorageFault) else type(error).__name__
            log.warning("file.lost", file_id=file.id, conversation_id=self._conversation_id, reason=reason)
            return lost(file.filename)
