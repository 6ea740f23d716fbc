"""Files that people send: fetched while their address lives, kept in the data directory, given to the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.inbound import InboundFile, InboundMessage
from greenline.conversations.files import open_file, read_file, write_file
from greenline.ids import derived_id
from greenline.llm.models import FilePart
from greenline.store.pool import Pool
from greenline.store.vault import Vault

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file on disk: its row for table ``conversation_file``, and the part that a model takes."""

    row: dict[str, Any]
    part: FilePart = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a message, and remarks for the model on those that could not be had."""

    files: tuple[FetchedFile, ...] = ()
    remarks: tuple[str, ...] = ()


class FileFetcher:
    """Brings the files of a message into the data directory. A turn that is resumed finds them there."""

    def __init__(self, pool: Pool, graph: GraphClient, vault: Vault, data_dir: Path) -> None:
        self._pool = pool
        self._graph = graph
        self._vault = vault
        self._data_dir = data_dir

    async def fetch(self, chat: Chat, conversation_id: str, message: InboundMessage) -> Fetched:
        """Fetch every file of ``message``. A file that can't be had becomes a remark, never an error."""
        files, remarks = [], []
        for file in message.files:
            try:
                files.append(await self._fetch(chat, conversation_id, message, file))
            except GraphError as error:
                log.warning("file.unavailable", media_id=file.media_id, code=error.code, details=error.details)
                remarks.append(f"[The file {file.filename} could not be opened.]")
        return Fetched(tuple(files), tuple(remarks))

    async def keep(self, chat: Chat, conversation_id: str, file_id: str, part: FilePart) -> FetchedFile:
        """Write a file to the data directory; its row is for the turn's commit."""
        written = await write_file(self._data_dir, chat.workspace_id, file_id, part.data)
        row = {
            "id": file_id,
            "conversation_id": conversation_id,
            "filename": part.filename,
            "mime_type": part.mime_type,
            "size_bytes": written.size_bytes,
            "sha256": written.sha256.hex(),
        }
        return FetchedFile(row, part)

    async def recall(self, chat: Chat, conversation_id: str, file_ids: Sequence[str]) -> dict[str, FilePart]:
        """Files of earlier messages, by id. One that the data directory lost is left out."""
        parts = {}
        for file_id in file_ids:
            file = await open_file(self._pool, chat.workspace_id, conversation_id, file_id)
            if file is None:
                continue
            try:
                data = await read_file(self._data_dir, file)
            except FileNotFoundError:
                log.warning("file.lost", file_id=file_id)
                continue
            parts[file_id] = FilePart(file.mime_type, file.filename, data)
        return parts

    async def _fetch(
        self, chat: Chat, conversation_id: str, message: InboundMessage, file: InboundFile
    ) -> FetchedFile:
        token = open_token(self._vault, chat.workspace_id, chat.phone_number_id, chat.sealed_token)
        data = await self._graph.fetch_media(chat.phone_number_id, token, file.media_id, sha256=file.sha256)
        file_id = derived_id("file", message.wamid, file.media_id)
        return await self.keep(chat, conversation_id, file_id, FilePart(file.mime_type, file.filename, data))
