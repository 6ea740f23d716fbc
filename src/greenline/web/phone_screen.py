"""The chat on the person's phone: bubbles by day, newest last, and the typing dots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Final

from nicegui import ui

from greenline.web.chat import Bubble
from greenline.web.parts import Tag, box
from greenline.web.phone_acts import Acts
from greenline.web.phone_bubble import Row

FOLLOW_END: Final = """
(id => {
  const chat = document.getElementById(id);
  let atEnd = true;
  const toEnd = () => { if (atEnd) chat.scrollTop = chat.scrollHeight; };
  chat.addEventListener('scroll', () => { atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 90; });
  chat.addEventListener('load', toEnd, true);
  new MutationObserver(toEnd).observe(chat, {childList: true, subtree: true});
  new ResizeObserver(toEnd).observe(chat);
  toEnd();
})('%s')
"""
"""Keeps the end of a list in sight, unless the person has scrolled up to read."""


class Screen:
    """The bubbles of one chat. Only what changed is drawn again. ``reply`` begins a reply to a message."""

    def __init__(self, acts: Acts, reply: Callable[[Bubble], None], timezone: tzinfo) -> None:
        self._acts = acts
        self._reply = reply
        self._timezone = timezone
        self._rows: dict[str, Row] = {}
        self._last_day = ""
        self._chat = box("gl-chat").props("role=log aria-label=Chat")
        self._typing: ui.element | None = None
        ui.run_javascript(FOLLOW_END % self._chat.html_id)

    def clear(self) -> None:
        """Show nothing: another chat comes."""
        self._chat.clear()
        self._rows.clear()
        self._last_day, self._typing = "", None

    def show(self, bubbles: Sequence[Bubble], *, typing: bool) -> None:
        """Bring the screen up to date."""
        with self._chat:
            for bubble in bubbles:
                self._show_bubble(bubble)
            self._show_typing(typing)

    def _show_bubble(self, bubble: Bubble) -> None:
        if bubble.id in self._rows:
            self._rows[bubble.id].show(bubble)
            return
        self._show_day(bubble.at)
        self._rows[bubble.id] = Row(bubble, self._acts, self._reply, self._timezone)

    def _show_day(self, at: float) -> None:
        day = datetime.fromtimestamp(at, self._timezone).strftime("%d %B %Y").lstrip("0")
        if day != self._last_day:
            Tag("div", day, "gl-day")
            self._last_day = day

    def _show_typing(self, typing: bool) -> None:
        if typing and self._typing is None:
            with box("gl-typing").props("aria-label=typing").style("order: 1") as self._typing:
                for _ in range(3):
                    box(tag="span")
        elif not typing and self._typing is not None:
            self._typing.delete()
            self._typing = None
