"""The row above the chat with the people who can be played."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from nicegui import ui

from greenline.web.parts import Tag, box, button


class People:
    """Draws itself into the current element. What changes does so where it stands: no click on a button is lost."""

    def __init__(self, choose: Callable[[str], None], ask_name: Callable[[], Awaitable[None]]) -> None:
        self._choose = choose
        self._chips: dict[str, ui.element] = {}
        self._unread: dict[str, Tag] = {}
        with box("gl-people").props("role=group aria-label='Who writes'") as self._row:
            button("+ New person", ask_name, "gl-person")

    def show(self, people: Mapping[str, Mapping[str, Any]], chosen: str, unread: Mapping[str, int]) -> None:
        """Show who there is, who of them is ``chosen``, and how many messages each has not read."""
        for person_id, person in people.items():
            if person_id not in self._chips:
                self._add(person_id, person["name"])
            self._chips[person_id].classes(replace=f"gl-person{' on' if person_id == chosen else ''}")
            self._count(person_id, unread.get(person_id, 0))

    def _add(self, person_id: str, name: str) -> None:
        with self._row:
            chip = button("", partial(self._choose, person_id), "gl-person")
        chip.move(target_index=len(self._chips))  # before the last, which adds somebody
        with chip:
            Tag("span", name, "gl-person-name").props["title"] = name
        self._chips[person_id] = chip

    def _count(self, person_id: str, unread: int) -> None:
        known = self._unread.get(person_id)
        if not unread:
            if known is not None:
                self._unread.pop(person_id).delete()
        elif known is not None:
            known.set_text(str(unread))
        else:
            with self._chips[person_id]:
                self._unread[person_id] = Tag("span", str(unread), "gl-unread")
