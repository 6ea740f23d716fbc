"""One message on the phone, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import partial
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from nicegui import ui

from greenline.web.chat import Bubble, Choice, Deed, File, Tick
from greenline.web.control import Permission
from greenline.web.parts import Tag, box, button, rich_text, sheet
from greenline.web.phone_acts import Acts
from greenline.web.voice import Player

EMOJIS: Final = ("👍", "❤️", "😂", "😮", "🙏")
TICKS: Final[dict[Tick, str]] = {"none": "", "sent": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "!"}

ICONS: Final[dict[Deed, str]] = {"link": "open_in_new", "phone": "call"}
PERMISSIONS: Final[dict[str, Permission]] = {
    "Allow calls": "permanent",
    "Allow for seven days": "temporary",
    "Don't allow": "declined",
}


class Row:
    """A message in its place, drawn into the current element.

    Ticks, reactions and the mark of a played note change where they are: a redrawn player would fall silent.
    """

    def __init__(self, bubble: Bubble, acts: Acts, reply: Callable[[Bubble], None], timezone: tzinfo) -> None:
        self._bubble = bubble
        self._acts = acts
        self._reply = reply
        self._timezone = timezone
        self._row = box(f"gl-row {'mine' if bubble.mine else 'theirs'}")
        self._draw()

    def show(self, bubble: Bubble) -> None:
        """Bring the message up to date."""
        known, self._bubble = self._bubble, bubble
        if known == bubble:
            return
        if replace(known, tick=bubble.tick, reactions=bubble.reactions, played=bubble.played) != bubble:
            self._row.clear()
            self._draw()
            return
        self._show_tick()
        self._show_reactions()
        self._show_played()

    def _draw(self) -> None:
        bubble = self._bubble
        with self._row:
            with box("gl-bubble"):
                if bubble.quoted:
                    Tag("div", bubble.quoted, "gl-quote")
                self._note: ui.element | None = None
                if bubble.file:
                    self._file(bubble.file)
                if bubble.header:
                    Tag("div", bubble.header, "gl-head")
                if bubble.text:
                    rich_text(bubble.text)
                if bubble.footer:
                    Tag("div", bubble.footer, "gl-foot")
                with box("gl-meta"):
                    Tag("span", datetime.fromtimestamp(bubble.at, self._timezone).strftime("%H:%M"))
                    self._tick = Tag("span")
            self._reactions = Tag("div", "", "gl-reactions")
            self._choices()
            self._permission()
            button("⋯", self._menu, "gl-more", "Reply or react")
        self._show_tick()
        self._show_reactions()
        self._show_played()

    def _show_tick(self) -> None:
        tick = self._bubble.tick
        self._tick.set_text(TICKS[tick])
        self._tick.classes(replace=f"gl-tick {tick}")
        self._tick.props["aria-label"] = self._tick.props["title"] = tick
        self._tick.set_visibility(tick != "none")

    def _show_reactions(self) -> None:
        self._reactions.set_text("".join(self._bubble.reactions))
        self._reactions.set_visibility(bool(self._bubble.reactions))

    def _show_played(self) -> None:
        if self._note is not None:
            self._note.classes(replace=f"gl-note{' played' if self._bubble.played else ''}")

    def _file(self, file: File) -> None:
        address = f"/phone/media/{quote(file.media_id, safe='')}" if file.media_id else file.address
        if file.sound:
            with box("gl-note") as self._note:
                if file.voice:
                    ui.icon("mic").classes("gl-note-mic")
                Player(address, file.sound, None if self._bubble.mine else self._play)
            return
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
                Tag("div", file.name, "gl-file-name")
                size = _size(file.size) if file.size is not None else ""
                Tag("div", " · ".join(part for part in (file.mime_type, size) if part), "gl-file-note")

    async def _play(self) -> None:
        await self._acts.play(self._bubble.id)

    def _choices(self) -> None:
        bubble = self._bubble
        if not bubble.choices:
            return
        with box("gl-choices"):
            if bubble.list_label:
                with button("", self._open_list, "gl-choice"):
                    ui.icon("list")
                    Tag("span", f" {bubble.list_label}")
            else:
                for choice in bubble.choices:
                    self._choice(choice)

    def _choice(self, choice: Choice) -> None:
        if choice.does == "reply":
            button(choice.title, partial(self._tap, choice), "gl-choice")
            return
        with box("gl-choice", "a" if choice.address else "div") as made:
            if choice.address:
                made.props["href"] = choice.address
            if choice.does == "link":
                made.props("target=_blank rel='noopener noreferrer nofollow'")
            if icon := ICONS.get(choice.does):
                ui.icon(icon, size="18px").props("aria-hidden=true")
            Tag("span", choice.title)
            if choice.detail:
                Tag("small", choice.detail)

    def _permission(self) -> None:
        if self._bubble.asks_to_call:
            with box("gl-choices").props("role=group aria-label='Permission to call'"):
                with box("gl-ask"):
                    ui.icon("phone_in_talk").props("aria-hidden=true")
                    Tag("span", "This business would like to call you")
                for title, answer in PERMISSIONS.items():
                    button(title, partial(self._acts.permit, self._bubble.id, answer), "gl-choice")

    async def _open_list(self) -> None:
        with self._row, sheet(self._bubble.list_label) as dialog:
            for section, choices in groupby(self._bubble.choices, lambda choice: choice.section):
                if section:
                    Tag("div", section, "gl-section")
                for choice in choices:
                    with button("", partial(dialog.submit, choice), "gl-option"):
                        Tag("span", choice.title)
                        if choice.detail:
                            Tag("small", choice.detail)
        if choice := await dialog:
            await self._tap(choice)

    async def _tap(self, choice: Choice) -> None:
        await self._acts.tap(self._bubble.id, choice.place)

    def _menu(self) -> None:
        with self._row, ui.menu().props("no-parent-event") as menu, box("gl-emojis"):
            for emoji in EMOJIS:
                self._item(menu, emoji, partial(self._acts.react, self._bubble.id, emoji))
            with self._item(menu, "", lambda: self._reply(self._bubble), "Reply"):
                ui.icon("reply")
        menu.on("hide", menu.delete)
        menu.open()

    def _item(self, menu: ui.menu, sign: str, act: Callable[[], Any], label: str = "") -> Tag:
        def chosen() -> Any:
            menu.close()  # first: it gives the focus back to what opened it
            return act()

        return button(sign, chosen, "gl-icon", label or f"React with {sign}")


def _size(count: int) -> str:
    """A number of bytes as people read it."""
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"
