"""The chats of the person's phone: one with each number of the businesses there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from greenline.web.chat import bubbles
from greenline.web.control import Control, EmulatorGone
from greenline.web.parts import Tag, button, sheet


@dataclass(frozen=True, slots=True)
class Business:
    """A number that can be written to. ``wa_id`` is the number in digits, ``display`` as Meta writes it."""

    number_id: str
    name: str
    display: str

    @property
    def wa_id(self) -> str:
        """The number in digits."""
        return "".join(sign for sign in self.display if sign.isdigit())


def businesses(state: Mapping[str, Any]) -> list[Business]:
    """All numbers of the emulator, oldest first."""
    names = {account["id"]: account["name"] for account in state["accounts"]}
    return [
        Business(number["id"], str(names.get(number["account_id"], "Business")), number["display"])
        for number in state["numbers"]
    ]


def address(person_id: str, number_id: str) -> str:
    """The page of a chat."""
    return f"/phone?{urlencode({'person': person_id, 'number': number_id})}"


async def show_chats(emulator: Control, all_of_them: Sequence[Business], person_id: str, zone: tzinfo) -> None:
    """A sheet with the chats, of which one is opened."""
    try:
        chats = [(business, await emulator.chat(person_id, business.number_id)) for business in all_of_them]
    except EmulatorGone as error:
        ui.notify(str(error), type="negative")
        return
    with sheet("Chats") as dialog:
        for business, chat in chats:
            with button("", partial(dialog.submit, business), "gl-option"):
                Tag("span", business.name)
                Tag("small", f"{business.display} · {_last(chat['messages'], zone)}")
                if unread := _unread(chat["messages"]):
                    Tag("span", str(unread), "gl-unread")
    if chosen := await dialog:
        ui.navigate.to(address(person_id, chosen.number_id))


def _last(messages: Sequence[Mapping[str, Any]], zone: tzinfo) -> str:
    if not messages:
        return "no messages yet"
    bubble = bubbles(messages[-1:], ())[0]
    text = " ".join((bubble.text or bubble.header or str(messages[-1]["type"])).split())
    return f"{datetime.fromtimestamp(bubble.at, zone):%H:%M} {text[:60]}"


def _unread(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(message["direction"] == "out" and message["status"] == "delivered" for message in messages)
