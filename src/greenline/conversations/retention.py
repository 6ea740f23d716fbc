"""Conversations are kept as long as their agent says, and no longer (reference: Retention).

``platform_settings.privacy.retention_days`` after its end a conversation loses its transcript with everything that
tells who spoke (``delete_transcript_and_pii``), its sound (``delete_audio``), or both; in ``zero_retention_mode`` all
of it soon after the end, since a conversation that runs lives in its journal. Its row, its figures and what became of
its messages stay; who the person is goes with the last conversation that has them.
"""

from __future__ import annotations

from typing import Final, Literal

import structlog

from greenline.agents.brought import forget_unused
from greenline.agents.config.privacy import PrivacyConfig
from greenline.clock import Clock
from greenline.conversations.erasure import forget_people, forget_traces
from greenline.conversations.events import Erased, dump_event
from greenline.conversations.files import delete_files, erase_orphans, give_up_uploads, list_files
from greenline.conversations.recordings import erase_recording
from greenline.store.objects import Objects, StorageFault
from greenline.store.outage import passes
from greenline.store.pool import Connection, Pool
from greenline.store.rounds import Rounds
from greenline.store.sql import load_sql

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 300.0
"""Between two looks: ``retention_days`` 0 is "soon after the end"."""
_PER_LOOK: Final = 500

_sql = load_sql(__package__, "retention.sql")


class Retention(Rounds):
    """Erases what is due, again and again. Many processes may do it at once."""

    def __init__(self, pool: Pool, clock: Clock, objects: Objects) -> None:
        super().__init__(clock, "retention", EVERY_SECONDS)
        self._pool = pool
        self._objects = objects

    async def round(self) -> bool:
        """Erase what is due."""
        await self.enforce()
        return False

    async def enforce(self) -> int:
        """Erase what is due; returns in how many conversations. A fault with one leaves it for the next look."""
        erased, unerased = 0, list[tuple[str, StorageFault]]()
        for row in await self._pool.fetch(_sql["due"], self._clock.now(), _PER_LOOK):
            try:
                await self._erase(row["workspace_id"], row["id"])
                erased += 1
            except StorageFault as error:
                unerased.append((row["id"], error))
            except Exception as error:  # the boundary of one conversation: the next look tries it again
                if passes(error):  # the others would meet the same
                    raise
                log.exception("retention.not_erased", conversation_id=row["id"])
        if unerased:
            conversation_id, fault = unerased[0]
            log.error(
                "retention.not_erased",
                conversation_id=conversation_id,
                others=len(unerased) - 1,
                error=fault.reason,
            )
        people = await forget_people(self._pool, self._clock.now(), _PER_LOOK)
        if erased or people:
            log.info("retention.erased", conversations=erased, people=people)
        agents = await forget_unused(self._pool, self._clock, _PER_LOOK)
        if agents:
            log.info("retention.agents_deleted", agents=agents)
        await give_up_uploads(self._pool, self._clock.now())
        await erase_orphans(self._pool, self._objects)
        return erased

    async def _erase(self, workspace_id: str, conversation_id: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            due = await connection.fetchrow(_sql["lock"], workspace_id, conversation_id)
            if due is None:  # deleted meanwhile
                return
            if due["audio"]:
                await self._erase_files(connection, workspace_id, conversation_id, audio=True)
                await erase_recording(connection, self._objects, workspace_id, conversation_id)
                await self._record(connection, workspace_id, conversation_id, "audio")
            if due["transcript"]:
                await self._erase_transcript(connection, workspace_id, conversation_id)
                await self._record(connection, workspace_id, conversation_id, "transcript")

    async def _erase_transcript(self, connection: Connection, workspace_id: str, conversation_id: str) -> None:
        key = (workspace_id, conversation_id)
        await forget_traces(connection, *key, self._clock.now())
        for statement in ("erase_events", "strip_events", "strip_row"):
            await connection.execute(_sql[statement], *key)
        await self._erase_files(connection, *key, audio=False)

    async def _erase_files(
        self, connection: Connection, workspace_id: str, conversation_id: str, *, audio: bool
    ) -> None:
        """Bytes first: after a fault in between, the rows still tell what is to be erased."""
        files = await list_files(connection, workspace_id, conversation_id)
        ids = [file.id for file in files if file.mime_type.startswith("audio/") is audio]
        await delete_files(self._objects, workspace_id, ids)
        await connection.execute(_sql["delete_files"], workspace_id, conversation_id, ids)

    async def _record(
        self, connection: Connection, workspace_id: str, conversation_id: str, what: Literal["transcript", "audio"]
    ) -> None:
        event = dump_event(Erased(what=what))
        await connection.execute(_sql["record"], workspace_id, conversation_id, event, self._clock.now())


async def privacy_of(connection: Pool | Connection, workspace_id: str, conversation_id: str) -> PrivacyConfig:
    """The settings that hold for a conversation: those under which it began, unless a change was to apply to it."""
    found = await connection.fetchval(_sql["privacy"], workspace_id, conversation_id)
    return PrivacyConfig.model_validate(found or {})
