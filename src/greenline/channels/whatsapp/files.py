"""Files that people send: fetched while their address lives, kept, given to the model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.inbound import InboundFile, InboundMessage
from greenline.clock import Clock
from greenline.conversations.files import open_file, read_file, write_file
from greenline.engine.files import Room, Shown, earlier, lost
from greenline.ids import derived_id
from greenline.llm.models import FilePart
from greenline.store.objects import PERSON_SECONDS, ObjectMissing, Objects, StorageFault, answering_by
from greenline.store.pool import Pool
from greenline.store.vault import Vault

log = structlog.get_logger(__name__)

PAUSES: Final = (1.0, 4.0, 15.0)
"""Seconds before a file is asked for again: Meta keeps it for 7 days, its faults are over in moments mostly, and the
person waits for an answer."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file in memory: the part that a model takes, and its row for table ``conversation_file`` if it is kept."""

    id: str
    part: FilePart = field(repr=False)
    row: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a message, and remarks for the model on those that could not be had."""

    files: tuple[FetchedFile, ...] = ()
    remarks: tuple[str, ...] = ()


class FileFetcher:
    """Brings the files of a message from Meta into the storage."""

    def __init__(self, pool: Pool, graph: GraphClient, vault: Vault, objects: Objects, clock: Clock) -> None:
        self._pool = pool
        self._graph = graph
        self._vault = vault
        self._objects = objects
        self._clock = clock

    async def fetch(
        self, chat: Chat, conversation_id: str, message: InboundMessage, *, may_keep: bool = True
    ) -> Fetched:
        """Fetch every file of ``message``. A file that can't be had becomes a remark, never an error."""
        files, remarks = [], []
        for file in message.files:
            try:
                part = FilePart(file.mime_type, file.filename, await self._download(chat, file))
                file_id = derived_id("file", message.wamid, file.media_id)
                kept = await self.keep(chat, conversation_id, file_id, part) if may_keep else None
                files.append(kept or FetchedFile(file_id, part))
            except GraphError as error:
                log.warning("file.unavailable", media_id=file.media_id, code=error.code, details=error.details)
                remarks.append(f"[The file {file.filename} could not be opened.]")
        return Fetched(tuple(files), tuple(remarks))

    async def keep(
        self, chat: Chat, conversation_id: str, file_id: str, part: FilePart, seconds: float | None = None
    ) -> FetchedFile | None:
        """Write a file to the storage; its row is for the turn's commit. ``seconds`` is how long it sounds.

        None when the storage fails, which is no reason to leave a person without an answer.
        """
        try:
            async with answering_by(asyncio.get_running_loop().time() + PERSON_SECONDS):
                written = await write_file(self._objects, chat.workspace_id, file_id, part.data)
        except StorageFault as error:
            log.error("file.not_kept", file_id=file_id, conversation_id=conversation_id, reason=error.reason)
            return None
        row = {
            "id": file_id,
            "conversation_id": conversation_id,
            "filename": part.filename,
            "mime_type": part.mime_type,
            "size_bytes": written.size_bytes,
            "sha256": written.sha256.hex(),
            "seconds": seconds,
        }
        return FetchedFile(file_id, part, row)

    async def recall(self, chat: Chat, conversation_id: str, file_ids: Sequence[str], room: Room) -> dict[str, Shown]:
        """Files of earlier messages, by id: the newest, for which there is ``room``, and the names of the others."""
        parts: dict[str, Shown] = {}
        deadline = asyncio.get_running_loop().time() + PERSON_SECONDS
        for file_id in reversed(file_ids):
            file = await open_file(self._pool, chat.workspace_id, conversation_id, file_id)
            if file is None:
                continue
            if not room.takes(file.size_bytes):
                parts[file_id] = earlier(file.filename)
                continue
            try:
                async with answering_by(deadline):
                    data = await read_file(self._objects, file)
            except (ObjectMissing, StorageFault) as error:
                reason = error.reason if isinstance(error, StorageFault) else type(error).__name__
                log.warning("file.lost", file_id=file_id, conversation_id=conversation_id, reason=reason)
                parts[file_id] = lost(file.filename)
            else:
                parts[file_id] = FilePart(file.mime_type, file.filename, data)
        return parts

    async def _download(self, chat: Chat, file: InboundFile) -> bytes:
        token = open_token(self._vault, chat.workspace_id, chat.phone_number_id, chat.sealed_token)
        for pause in PAUSES:
            try:
                return await self._graph.fetch_media(chat.phone_number_id, token, file.media_id, sha256=file.sha256)
            except GraphError as error:
                if error.outcome is Outcome.PERMANENT or error.token_dead:
                    raise
                log.info("file.awaited", media_id=file.media_id, code=error.code, seconds=pause)
            await self._clock.sleep(pause)
        return await self._graph.fetch_media(chat.phone_number_id, token, file.media_id, sha256=file.sha256)
