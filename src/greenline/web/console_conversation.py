"""One conversation: what is known of it, its transcript, and a human's way into it while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, Final
from urllib.parse import quote

from greenline.conversations import service, uploads
from greenline.conversations.files import ConversationFile, list_files, read_file
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.views import ConversationView
from greenline.llm.prices import token_prices
from greenline.store.objects import ObjectMissing, StorageFault
from greenline.store.sql import load_sql
from greenline.web.console_call import Caller
from greenline.web.console_frame import Visit, keep_fresh
from greenline.web.console_head import Head
from greenline.web.console_operator import Operator
from greenline.web.console_trouble import troubles
from greenline.web.console_turn import Beside, Transcript
from greenline.web.parts import Tag, box, browser_timezone, link
from greenline.web.sound import Sound, sound_of
from greenline.web.voice import RecordingPlayer

OPEN: Final = ("initiated", "in-progress")
_sql = load_sql(__package__, "console.sql")


async def draw(visitor: Visit, conversation_id: str) -> None:
    """Draw the conversation, and keep it up to date."""
    zone = await browser_timezone()
    if zone is None:
        return
    link("← Conversations", "/console")
    page = ConversationPage(visitor, conversation_id, zone)
    await page.refresh()
    keep_fresh(visitor, page.refresh)


class ConversationPage:
    """Drawn again where its journal grew."""

    def __init__(self, visitor: Visit, conversation_id: str, zone: tzinfo) -> None:
        self._visitor = visitor
        self._id = conversation_id
        self._zone = zone
        self._place: tuple[Any, ...] | None = None
        self._sounds: dict[str, Sound | None] = {}
        self._person: Any = None
        with box("gl-conversation"):
            self._missing = Tag("div", "", "gl-empty")
            self._head = Head(zone)
            self._recording = RecordingPlayer()
            self._operator = Operator(visitor, conversation_id)
            self._transcript = Transcript(zone)
            self._caller = Caller(visitor, lambda: self._person)
        self._recording.set_visibility(False)
        self._transcript.set_visibility(False)

    async def refresh(self) -> None:
        """Bring the page up to date."""
        pool, workspace_id = self._visitor.services.pool, self._visitor.workspace.id
        row = await pool.fetchrow(_sql["place"], workspace_id, self._id)
        # Links to files are renewed before they end.
        links = int(self._visitor.services.clock.now().timestamp() / (uploads.LINK_LIFE.total_seconds() / 2))
        place = (*row, links) if row else ()
        if place == self._place:
            return
        try:
            shown = await service.get(pool, workspace_id, self._id, link=self._link, prices=token_prices)
        except ConversationNotFound as error:
            self._show_missing(error.message)
        else:
            await self._show(shown, links)
        self._place = place

    def _link(self, file: ConversationFile) -> str:
        token = uploads.make_token(self._visitor.services.vault, self._visitor.services.clock, file)
        place = f"/v1/convai/conversations/{quote(file.conversation_id)}/files/{quote(file.id)}/content"
        return f"{place}?token={token}"

    def _show_missing(self, message: str) -> None:
        self._missing.set_text(message)
        self._missing.set_visibility(True)
        self._head.set_visibility(False)
        self._recording.set_visibility(False)
        self._operator.show(is_open=False, is_human=False, is_rung=False)
        self._transcript.set_visibility(False)

    async def _show(self, shown: ConversationView, links: int) -> None:
        pool, key = self._visitor.services.pool, (self._visitor.workspace.id, self._id)
        self._person = await pool.fetchrow(_sql["person"], *key)
        call = await pool.fetchrow(_sql["call"], *key)
        failures = await pool.fetch(_sql["failures"], *key)
        is_human = bool(await pool.fetchval(_sql["is_human"], *key))
        sounds = await self._listen(await list_files(pool, *key))
        recorded_from = await pool.fetchval(_sql["recorded_from"], *key) if shown.has_audio else None
        self._missing.set_visibility(False)
        self._head.set_visibility(True)
        self._head.show(shown, self._person, call, self._caller)
        self._head.show_troubles(troubles(shown.metadata.error, shown.transcript, failures))
        if shown.has_audio:
            self._recording.props["src"] = f"/console/conversations/{quote(self._id, safe='')}/audio"
        self._recording.set_visibility(shown.has_audio)
        is_rung = call is not None and call["phase"] != "ended" and call["picked_up_at"] is None
        self._operator.show(is_open=shown.status in OPEN, is_human=is_human, is_rung=is_rung)
        self._transcript.set_visibility(True)
        since = recorded_from.timestamp() if recorded_from else None
        self._transcript.show(shown.transcript, Beside(sounds, since, links))

    async def _listen(self, files: Iterable[ConversationFile]) -> dict[str, Sound]:
        for file in files:
            if file.mime_type.startswith("audio/") and file.id not in self._sounds:
                try:
                    data = await read_file(self._visitor.services.objects, file)
                except (ObjectMissing, StorageFault):  # of another server's data directory, or out of reach
                    data = b""
                self._sounds[file.id] = await sound_of(data)
        return {name: sound for name, sound in self._sounds.items() if sound is not None}
