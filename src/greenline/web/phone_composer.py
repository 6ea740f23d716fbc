"""The line at the foot of the phone: write, send a file, record a voice note; and what is replied to."""

from __future__ import annotations

from typing import Final

from nicegui import ui
from nicegui.events import GenericEventArguments, UploadEventArguments

from greenline.speech.errors import AudioError
from greenline.web.chat import Bubble
from greenline.web.control import SentFile
from greenline.web.parts import Tag, box, button
from greenline.web.phone_acts import Acts
from greenline.web.sound import voice_note
from greenline.web.voice import Recorder

FILE_MAX_BYTES: Final = 16_000_000
ENTER: Final = """(event) => {
  if (event.shiftKey || event.isComposing) return;
  event.preventDefault();
  emit(event.target.value);
  event.target.value = '';
  document.querySelector('.gl-chat').scrollTop = 1e9;
}"""
CLICK: Final = """() => {
  const field = document.querySelector('.gl-composer textarea');
  emit(field.value);
  field.value = '';
  field.focus();
  document.querySelector('.gl-chat').scrollTop = 1e9;
}"""


class Composer:
    """Draws itself into the current element."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._replying: Bubble | None = None
        with box("gl-replying") as self._quote_bar:
            self._quote = Tag("div", "", "gl-grow")
            button("✕", lambda: self.reply(None), "gl-icon", "Don't reply to it")
        self._upload = (
            ui.upload(
                auto_upload=True,
                max_file_size=FILE_MAX_BYTES,
                on_upload=self._send_file,
                on_rejected=lambda: ui.notify("Files of up to 16 MB can be sent.", type="warning"),
            )
            .classes("gl-upload")
            .style("display: none")
        )
        with box("gl-composer"):
            with button("", lambda: self._upload.run_method("pickFiles"), "gl-icon", "Send a file"):
                ui.icon("attach_file")
            field = box(tag="textarea").props("rows=1 placeholder=Message aria-label=Message maxlength=4096")
            field.on("keydown.enter", self._written, js_handler=ENTER)
            Recorder(self._send_note, max_bytes=FILE_MAX_BYTES)
            with box("gl-icon gl-send", "button").props("type=button aria-label=Send title=Send") as send:
                ui.icon("send")
            send.on("click", self._written, js_handler=CLICK)
        self.reply(None)

    def reply(self, bubble: Bubble | None) -> None:
        """The next text answers this message; None: no message."""
        self._replying = bubble
        self._quote.set_text((bubble.text or "this message") if bubble else "")
        self._quote_bar.set_visibility(bubble is not None)

    async def _written(self, event: GenericEventArguments) -> None:
        text = str(event.args).strip()
        if text:
            replying = self._replying
            self.reply(None)
            await self._acts.say(text, replying)

    async def _send_file(self, event: UploadEventArguments) -> None:
        data = await event.file.read()
        self._upload.reset()
        kind = event.file.content_type or "application/octet-stream"
        await self._acts.send_file(SentFile(event.file.name, kind, data))

    async def _send_note(self, recording: bytes) -> None:
        try:
            data, mime_type = await voice_note(recording)
        except AudioError:
            ui.notify("Nothing could be heard in the recording.", type="warning")
            return
        await self._acts.send_file(SentFile("voice-note.ogg", mime_type, data, voice=True))
