"""The files of one live conversation: which there are, and what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from greenline.conversations.files import ConversationFile, known_files, open_file, read_file
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

    async def load(self, file_ids: Sequence[str]) -> dict[str, FilePart]:
        """The files for the model; unknown ones are left out, of lost ones only the name is known."""
        found = {}
        for file_id in file_ids:
            file = await open_file(self._pool, self._workspace_id, self._conversation_id, file_id)
            if file is not None:
                found[file_id] = FilePart(file.mime_type, file.filename, await self._read(file))
        return found

    async def _read(self, file: ConversationFile) -> bytes:
        try:
            return await read_file(self._objects, file)
        except (ObjectMissing, StorageFault):
            log.warning("file.lost", file_id=file.id)
            return b""
