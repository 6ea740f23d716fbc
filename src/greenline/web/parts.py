"""Small elements that all pages are made of. Text is always text: nothing here takes HTML."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta, timezone, tzinfo
from importlib import resources
from inspect import iscoroutine
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from nicegui import background_tasks, context, ui
from nicegui.elements.mixins.text_element import TextElement

from greenline.web.chat import pieces

_STYLE: Final = resources.files("greenline.web").joinpath("style.css").read_text(encoding="utf-8")
_ZONE: Final = "[Intl.DateTimeFormat().resolvedOptions().timeZone, new Date().getTimezoneOffset()]"
_STYLED_TAGS: Final = {"bold": "b", "italic": "i", "struck": "s", "code": "code", "plain": "span"}


class Tag(TextElement):
    """An HTML element with text in it."""

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)


def box(classes: str = "", tag: str = "div") -> ui.element:
    """An element that holds others."""
    return ui.element(tag).classes(classes)


def button(text: str, act: Callable[[], Any], classes: str = "", label: str = "") -> Tag:
    """A plain button; ``label`` is what a screen reader says where ``text`` is a sign."""
    made = Tag("button", text, classes)
    made.props("type=button")
    if label:
        made.props["aria-label"] = label
        made.props["title"] = label
    made.on("click", outliving(act))
    return made


def outliving(act: Callable[[], Any]) -> Callable[[], Awaitable[None]]:
    """Have ``act`` go on with the page though the button is gone, because the page was redrawn.

    It is not begun again before it has ended: people click twice.
    """
    client = context.client
    is_running = False

    async def run() -> None:
        nonlocal is_running
        if is_running:
            return
        is_running = True
        try:
            with client:
                result = act()
                if iscoroutine(result):  # and no dialog, which closing returns: to await one opens it again
                    await result
        finally:
            is_running = False

    return run


@contextlib.contextmanager
def sheet(title: str) -> Iterator[ui.dialog]:
    """A question over the page. Who awaits the dialog gets what it was submitted with; None where it was closed."""
    with ui.dialog() as dialog, box("gl-sheet") as drawn:
        drawn.props["role"], drawn.props["aria-label"] = "document", title
        Tag("div", title, "gl-sheet-title")
        yield dialog
    dialog.on("hide", dialog.delete)


def link(text: str, address: str, classes: str = "gl-link") -> Tag:
    """A link to another page of ours."""
    made = Tag("a", text, classes)
    made.props["href"] = address
    return made


def rich_text(text: str, classes: str = "") -> None:
    """Text of a person or an agent, with WhatsApp's marks and its links."""
    with box(f"gl-text {classes}"):
        for piece in pieces(text):
            if piece.style == "link":
                link(piece.text, piece.text, "").props("target=_blank rel='noopener noreferrer nofollow'")
            else:
                Tag(_STYLED_TAGS[piece.style], piece.text)


def pretty(value: Any) -> str:
    """Data as indented JSON."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, default=str, option=options).decode()
    except (TypeError, orjson.JSONEncodeError):
        return repr(value)  # half of a surrogate pair, which Meta can send


@contextlib.contextmanager
def styled_page(title: str) -> Iterator[None]:
    """The head that all pages share."""
    ui.page_title(title)
    ui.add_css(_STYLE)
    yield


async def ask_browser(code: str) -> Any:
    """What an expression is in the browser; None when the person has left before the page was there."""
    client = context.client
    await client.connected()
    if client.is_deleted:
        return None
    try:
        return await ui.run_javascript(code, timeout=10.0)
    except TimeoutError:
        if client.has_socket_connection:
            raise
        return None


async def browser_timezone() -> tzinfo | None:
    """The time zone of the person at the browser; None when they have left before the page was there."""
    found = await ask_browser(_ZONE)
    return None if found is None else zone_of(*found)


def zone_of(name: object, minutes: float) -> tzinfo:
    """The time zone of this name, which knows its summer time; where it is not known, ``minutes`` behind UTC."""
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last for a name that is a folder
        return timezone(timedelta(minutes=-float(minutes)))


def follow(work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` until the browser leaves this page."""
    client = context.client

    async def inside() -> None:
        with client:
            await work()

    task: asyncio.Task[Any] = background_tasks.create(inside(), name="web.follow")
    client.on_delete(task.cancel)
