"""The line at the foot of the phone: write, send a file, record a voice note; and what is replied to."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import quote

from nicegui import ui
from nicegui.events import UploadEventArguments

from greenline.web.chat import Bubble
from greenline.web.control import SentFile
from greenline.web.parts import Tag, box, button
from greenline.web.phone_acts import Acts
from greenline.web.voice import Recorder
from greenline.web.writer import Writer

FILE_MAX_BYTES: Final = 16_000_000
MESSAGE_MAX: Final = 4096
SHOW_END: Final = "document.querySelector('.gl-chat').scrollTop = 1e9"


class Composer:
    """Draws itself into the current element."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._replying: Bubble | None = None
        with box("gl-replying") as self._quote_bar:
            self._quote = Tag("div", "", "gl-grow")
            button("✕", lambda: self.reply(None), "gl-icon", "Don't reply to it")
        self._uploads: dict[str, ui.upload] = {}
        """One for each person: a file is theirs for whom it was chosen, whoever is shown when it has come."""
        self._upload_place = box().style("display: none")
        with box("gl-composer"):
            with button("", self._pick_file, "gl-icon", "Send a file"):
                ui.icon("attach_file")
            with Writer("Message", MESSAGE_MAX, self._written) as self._writer:
                self._recorder = Recorder()
            self._writer.on("written", js_handler=f"() => {{ {SHOW_END}; }}")
        self.reply(None)

    def write_at(self, person_id: str, number_id: str) -> None:
        """Write in this chat, where its draft is."""
        place = f"{quote(person_id, safe='')}/{quote(number_id, safe='')}"
        self._writer.at(place)
        self._recorder.props["url"] = f"/phone/notes/{place}"
        if person_id not in self._uploads:
            with self._upload_place:
                self._uploads[person_id] = self._draw_upload(person_id)
        self.reply(None)

    def reply(self, bubble: Bubble | None) -> None:
        """The next text, which can be typed at once, answers this message; None: no message."""
        self._replying = bubble
        self._quote.set_text((bubble.text or "this message") if bubble else "")
        self._quote_bar.set_visibility(bubble is not None)
        if bubble is not None:
            self._writer.focus()

    async def _written(self, text: str) -> bool:
        replying = self._replying
        self.reply(None)
        return await self._acts.say(text, replying)

    def _draw_upload(self, person_id: str) -> ui.upload:
        return ui.upload(
            auto_upload=True,
            max_file_size=FILE_MAX_BYTES,
            on_upload=partial(self._send_file, person_id),
            on_rejected=lambda: ui.notify("Files of up to 16 MB can be sent.", type="warning"),
        ).classes("gl-upload")

    def _pick_file(self) -> None:
        self._uploads[self._acts.person_id].run_method("pickFiles")

    async def _send_file(self, person_id: str, event: UploadEventArguments) -> None:
        data = await event.file.read()
        self._uploads[person_id].reset()
        kind = event.file.content_type or "application/octet-stream"
        await self._acts.send_file(person_id, SentFile(event.file.name, kind, data))
