"""The person's phone: bubbles, what can be tapped, the line to write in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from nicegui import ui

from greenline.web.chat import Bubble, Choice, File, Tick
from greenline.web.control import SentFile
from greenline.web.parts import Tag, box, button, rich_text

EMOJIS: Final = ("👍", "❤️", "😂", "😮", "🙏")
TICKS: Final[dict[Tick, str]] = {"none": "", "sent": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "!"}
TICK_WORDS: Final[dict[Tick, str]] = {
    "none": "",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
}
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


@dataclass(frozen=True, slots=True)
class Acts:
    """What the person can do with a message."""

    tap: Callable[[str, int], Awaitable[None]]
    react: Callable[[str, str], Awaitable[None]]
    reply: Callable[[Bubble], None]
    file: Callable[[str], SentFile | None]


class Screen:
    """The bubbles of one chat. Only what changed is drawn again."""

    def __init__(self, acts: Acts, timezone: tzinfo) -> None:
        self._acts = acts
        self._timezone = timezone
        self._rows: dict[str, tuple[Bubble, ui.element]] = {}
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
        known, row = self._rows.get(bubble.id, (None, None))
        if known == bubble:
            return
        if row is None:
            self._show_day(bubble.at)
            row = box(f"gl-row {'mine' if bubble.mine else 'theirs'}")
        row.clear()
        with row:
            self._fill(bubble)
        self._rows[bubble.id] = (bubble, row)

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

    def _fill(self, bubble: Bubble) -> None:
        with box("gl-bubble"):
            if bubble.quoted:
                Tag("div", bubble.quoted, "gl-quote")
            if bubble.file:
                self._file(bubble.id, bubble.file)
            if bubble.header:
                Tag("div", bubble.header, "gl-head")
            if bubble.text:
                rich_text(bubble.text)
            if bubble.footer:
                Tag("div", bubble.footer, "gl-foot")
            with box("gl-meta"):
                Tag("span", datetime.fromtimestamp(bubble.at, self._timezone).strftime("%H:%M"))
                if bubble.tick != "none":
                    tick = Tag("span", TICKS[bubble.tick], f"gl-tick {bubble.tick}")
                    tick.props["aria-label"] = tick.props["title"] = TICK_WORDS[bubble.tick]
        if bubble.reactions:
            Tag("div", "".join(bubble.reactions), "gl-reactions")
        self._choices(bubble)
        button("⋯", lambda: self._menu(bubble), "gl-more", "Reply or react")

    def _file(self, message_id: str, file: File) -> None:
        kept = self._acts.file(message_id)
        address = f"/phone/files/{quote(message_id)}" if kept else file.address
        if address and file.kind in ("image", "sticker"):
            picture = box("gl-picture", "img")
            picture.props["src"], picture.props["alt"] = address, "Picture"
            return
        with box("gl-file", "a" if address else "div") as chip:
            if address:
                chip.props["href"] = address
                chip.props("target=_blank rel='noopener noreferrer'")
            ui.icon("description", size="28px")
            with box("gl-grow"):
                Tag("div", kept.name if kept else file.name, "gl-file-name")
                size = _size(len(kept.data)) if kept else ""
                Tag("div", " · ".join(part for part in (file.mime_type, size) if part), "gl-file-note")

    def _choices(self, bubble: Bubble) -> None:
        if not bubble.choices:
            return
        with box("gl-choices"):
            if bubble.list_label:
                with button("", lambda: self._open_list(bubble), "gl-choice"):
                    ui.icon("list")
                    Tag("span", f" {bubble.list_label}")
            else:
                for choice in bubble.choices:
                    button(choice.title, self._tapping(bubble.id, choice), "gl-choice")

    def _open_list(self, bubble: Bubble) -> None:
        with self._chat, ui.dialog() as dialog, box("gl-sheet"):
            Tag("div", bubble.list_label, "gl-sheet-title")
            for section, choices in groupby(bubble.choices, lambda choice: choice.section):
                if section:
                    Tag("div", section, "gl-section")
                for choice in choices:
                    with box("gl-option", "button").props("type=button") as option:
                        Tag("span", choice.title)
                        if choice.detail:
                            Tag("small", choice.detail)
                    option.on("click", dialog.close)
                    option.on("click", self._tapping(bubble.id, choice))
        dialog.on("hide", dialog.delete)
        dialog.open()

    def _tapping(self, message_id: str, choice: Choice) -> Callable[[], Awaitable[None]]:
        return lambda: self._acts.tap(message_id, choice.place)

    def _menu(self, bubble: Bubble) -> None:
        with self._rows[bubble.id][1], ui.menu() as menu, box("gl-emojis"):
            for emoji in EMOJIS:
                self._item(menu, emoji, partial(self._acts.react, bubble.id, emoji))
            with self._item(menu, "", lambda: self._acts.reply(bubble), "Reply"):
                ui.icon("reply")
        menu.on("hide", menu.delete)
        menu.open()

    def _item(self, menu: ui.menu, sign: str, act: Callable[[], Any], label: str = "") -> Tag:
        made = button(sign, act, "gl-icon", label or f"React with {sign}")
        made.on("click", menu.close)
        return made


def _size(count: int) -> str:
    """A number of bytes as people read it."""
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"
