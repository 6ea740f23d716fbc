"""The inbox: conversations, the liveliest first."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final

from nicegui import ui

from greenline.store.sql import load_sql
from greenline.web.console_frame import Visit, keep_fresh
from greenline.web.parts import Tag, box, browser_timezone

SHOWN: Final = 100
STATUS_WORDS: Final = {
    "initiated": "waiting for the person",
    "in-progress": "open",
    "processing": "being summarised",
    "done": "done",
    "failed": "failed",
}
_sql = load_sql(__package__, "console.sql")


async def draw(visitor: Visit) -> None:
    """Draw the inbox, and keep it up to date."""
    zone = await browser_timezone()
    if zone is None:
        return
    Tag("h1", "Conversations", "gl-h1")
    inbox = Inbox(visitor, zone)
    await inbox.refresh()
    keep_fresh(visitor, inbox.refresh)


class Inbox:
    """The lines of the inbox. Only what changed is drawn again."""

    def __init__(self, visitor: Visit, zone: tzinfo) -> None:
        self._visitor = visitor
        self._zone = zone
        self._lines: dict[str, tuple[dict[str, Any], ui.element]] = {}
        self._list = box("gl-card gl-inbox")
        self._empty = Tag("div", "No conversation yet. As soon as somebody writes, it appears here.", "gl-empty")

    async def refresh(self) -> None:
        """Bring the lines up to date."""
        pool, workspace = self._visitor.services.pool, self._visitor.workspace
        rows = [dict(row) for row in await pool.fetch(_sql["inbox"], workspace.id, SHOWN)]
        rows.sort(key=lambda row: (row["active_at"], row["id"]), reverse=True)
        for gone in self._lines.keys() - {row["id"] for row in rows}:
            self._lines.pop(gone)[1].delete()
        today = self._visitor.services.clock.now().astimezone(self._zone).date()
        for place, row in enumerate(rows):
            self._show(row, today == row["active_at"].astimezone(self._zone).date(), place)
        self._list.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)

    def _show(self, row: dict[str, Any], is_today: bool, place: int) -> None:
        known, line = self._lines.get(row["id"], (None, None))
        if line is None:
            with self._list:
                line = box("gl-line", "a")
                line.props["href"] = f"/console/conversations/{row['id']}"
        if self._list.default_slot.children[place] is not line:
            line.move(target_index=place)
        if known == row:
            return
        line.clear()
        with line:
            _fill(row, row["active_at"].astimezone(self._zone).strftime("%H:%M" if is_today else "%d %b %H:%M"))
        self._lines[row["id"]] = (row, line)


def person_name(row: Any) -> str:
    """How a person is called: name of the profile, else the number, else an id."""
    return str(row["profile_name"] or (f"+{row['wa_id']}" if row["wa_id"] else row["bsuid"]) or "Unknown")


def status_chip(status: str) -> None:
    """A status as people read it."""
    Tag("span", STATUS_WORDS.get(status, status), f"gl-chip status-{status}")


def _fill(row: dict[str, Any], time: str) -> None:
    known = row["profile_name"] or row["wa_id"] or row["bsuid"]
    name = person_name(row) if known else str(row["user_id"] or row["source"])
    Tag("span", name[:1].upper() if name[:1].isalpha() else "#", "gl-avatar small")
    with box("gl-grow"):
        with box("gl-line-head"):
            Tag("span", name, "gl-line-name")
            Tag("span", _moment(time), "gl-soft gl-small")
        if row["last_text"]:
            Tag("div", f"{'' if row['last_kind'] == 'user_message' else 'Agent: '}{row['last_text']}", "gl-line-text")
        with box("gl-line-foot"):
            status_chip(row["status"])
            if row["failures"]:
                Tag("span", f"{row['failures']} not delivered", "gl-chip status-failed")
            Tag("span", row["agent_name"] or "agent deleted", "gl-soft gl-small")
            if row["phone_number_name"]:
                Tag("span", f"on {row['phone_number_name']}", "gl-soft gl-small")


def _moment(time: str) -> str:
    return time.lstrip("0") if ":" not in time[:3] else time


def clock_time(seconds: float, zone: tzinfo) -> str:
    """Unix seconds as a time of day, with seconds."""
    return datetime.fromtimestamp(seconds, zone).strftime("%H:%M:%S")
