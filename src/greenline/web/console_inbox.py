"""The inbox: conversations, the newest first, in pages; and the search in them."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from nicegui import ui

from greenline.store import cursor as cursors
from greenline.store.sql import load_sql
from greenline.web.console_frame import Visit, keep_fresh
from greenline.web.parts import Tag, box, browser_timezone, link

SHOWN: Final = 50
"""Conversations on a page."""
SEARCH_SECONDS: Final = 10.0
"""A search reads messages: its results are brought up to date more seldom."""
WORDS: Final = 8
CHOICES: Final = {
    "all": "All",
    "open": "Open",
    "human": "A human answers",
    "failed": "Failed",
    "calls": "Spoken",
}
"""What is shown, by the name that the address has for it."""
SPEAKERS: Final = {"person": "", "agent": "Agent: ", "human": "Human: "}
STATUS_WORDS: Final = {
    "initiated": "waiting for the person",
    "in-progress": "open",
    "processing": "being summarised",
    "done": "done",
    "failed": "failed",
}
KEEP_FOCUS: Final = """
(id => {
  const list = document.getElementById(id);
  let focused = null;
  list.addEventListener('focusin', event => { focused = event.target; });
  list.addEventListener('focusout', event => { if (event.relatedTarget) focused = null; });
  new MutationObserver(() => {
    const isLost = document.activeElement === document.body && focused?.isConnected;
    if (isLost) focused.focus({preventScroll: true});
  }).observe(list, {childList: true});
})('%s')
"""
"""A line that moves in the page, because something was said in it, would lose the focus."""
_ORDER: Final = "inbox"
_sql = load_sql(__package__, "console.sql")


async def draw(visitor: Visit, search: str = "", after: str = "", choice: str = "all") -> None:
    """Draw a page of the inbox, and keep it up to date. ``after`` is the cursor of a link to older ones.

    ``choice`` is one of `CHOICES`; all are shown for another.
    """
    choice = choice if choice in CHOICES else "all"
    zone = await browser_timezone()
    if zone is None:
        return
    with box("gl-head-row"):
        Tag("h1", "Conversations", "gl-h1")
        _draw_search(search, choice)
    inbox = Inbox(visitor, zone, search, after, choice)
    await inbox.refresh()
    keep_fresh(visitor, inbox.refresh, **({"seconds": SEARCH_SECONDS} if search else {}))


def _draw_search(search: str, choice: str) -> None:
    with box("gl-search", "form") as form:
        form.props["method"], form.props["action"], form.props["role"] = "get", "/console", "search"
        field = box("gl-field", "input").props("type=search name=q maxlength=200")
        field.props["aria-label"] = field.props["placeholder"] = "Search people and messages"
        # The attribute: Vue writes the property anew with every change of the page, over what is being typed.
        field.props["^value"] = search
        if choice != "all":
            box(tag="input").props("type=hidden name=show").props["value"] = choice
    with box("gl-choices-row", "nav").props("aria-label='Which conversations'"):
        for name, words in CHOICES.items():
            chosen = link(words, _address(search, name), f"gl-choice-link{' on' if name == choice else ''}")
            if name == choice:
                chosen.props("aria-current=page")


class Inbox:
    """The lines of a page. Only what changed is drawn again."""

    def __init__(self, visitor: Visit, zone: tzinfo, search: str, after: str, choice: str) -> None:
        self._visitor = visitor
        self._zone = zone
        self._search = search
        self._choice = choice
        self._words = [word.lstrip("+").lower() for word in search.replace("\0", "").split()[:WORDS]]
        self._after = _position(after)
        self._lines: dict[str, tuple[dict[str, Any], ui.element]] = {}
        self._list = box("gl-card gl-inbox")
        ui.run_javascript(KEEP_FOCUS % self._list.html_id)
        self._empty = Tag("div", _nothing(search, after, choice), "gl-empty")
        with box("gl-pages", "nav"):
            self._newest = link("← Newest", _address(search, choice))
            self._older = link("Older →", "")
        self._newest.set_visibility(bool(self._after[0]))

    async def refresh(self) -> None:
        """Bring the lines up to date."""
        pool, workspace = self._visitor.services.pool, self._visitor.workspace
        found = await pool.fetch(_sql["inbox"], workspace.id, SHOWN + 1, self._words, *self._after, self._choice)
        rows = [dict(row) for row in found[:SHOWN]]
        self._show_older(rows[-1] if len(found) > SHOWN else None)
        rows.sort(key=lambda row: (row["active_at"], row["id"]), reverse=True)
        for gone in self._lines.keys() - {row["id"] for row in rows}:
            self._lines.pop(gone)[1].delete()
        today = self._visitor.services.clock.now().astimezone(self._zone).date()
        for place, row in enumerate(rows):
            self._show(row, today == row["active_at"].astimezone(self._zone).date(), place)
        self._list.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)

    def _show_older(self, last: dict[str, Any] | None) -> None:
        if last is not None:
            cursor = cursors.encode(_ORDER, cursors.from_moment(last["started_at"]), last["id"])
            self._older.props["href"] = _address(self._search, self._choice, after=cursor)
        self._older.set_visibility(last is not None)

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


def _address(search: str, choice: str, **query: str) -> str:
    query |= {"q": search} if search else {}
    query |= {"show": choice} if choice != "all" else {}
    return f"/console?{urlencode(query)}" if query else "/console"


def person_name(row: Any) -> str:
    """How a person is called: name of the profile, else the number, else an id, else where they come from."""
    number = f"+{row['wa_id']}" if row["wa_id"] else row["bsuid"]
    return str(row["profile_name"] or number or row["user_id"] or row["source"].replace("_", " "))


def channel(row: Any) -> str:
    """Where a conversation happens: ``source`` and ``text_only`` of its row."""
    if row["source"] == "whatsapp":
        return "WhatsApp chat" if row["text_only"] else "WhatsApp call"
    return f"{row['source'].replace('_', ' ')}, {'text' if row['text_only'] else 'voice'}"


def status_chip(status: str) -> None:
    """A status as people read it."""
    Tag("span", STATUS_WORDS.get(status, status), f"gl-chip status-{status}")


def _position(after: str) -> tuple[datetime | None, str | None]:
    """Where a page begins; at the newest for a cursor that is not ours."""
    try:
        moment, name = cursors.decode(after, _ORDER, int, str)
        return cursors.to_moment(moment), name
    except cursors.InvalidCursor:
        return None, None


def _nothing(search: str, after: str, choice: str) -> str:
    if choice != "all":
        return "No such conversation."
    if search:
        return "No conversation has all of these words."
    return "No older conversation." if after else "No conversation yet. As soon as somebody writes, it appears here."


def _fill(row: dict[str, Any], time: str) -> None:
    name = person_name(row)
    Tag("span", name[:1].upper() if name[:1].isalpha() else "#", "gl-avatar small")
    with box("gl-grow"):
        with box("gl-line-head"):
            Tag("span", name, "gl-line-name")
            Tag("span", _moment(time), "gl-soft gl-small")
        if row["last_text"]:
            Tag("div", f"{SPEAKERS[row['speaker']]}{row['last_text']}", "gl-line-text")
        if row["status"] == "failed" and (reason := (row["error"] or {}).get("reason") or row["termination_reason"]):
            Tag("div", reason, "gl-line-text gl-bad gl-small")
        with box("gl-line-foot"):
            status_chip(row["status"])
            if row["is_human"] and row["status"] == "in-progress":
                Tag("span", "a human answers", "gl-chip status-human")
            if row["failures"]:
                Tag("span", f"{row['failures']} not delivered", "gl-chip status-failed")
            if not row["text_only"]:
                Tag("span", channel(row), "gl-chip")
            Tag("span", row["agent_name"] or "agent deleted", "gl-soft gl-small")
            if row["phone_number_name"]:
                Tag("span", f"on {row['phone_number_name']}", "gl-soft gl-small")


def _moment(time: str) -> str:
    return time.lstrip("0") if ":" not in time[:3] else time


def clock_time(seconds: float, zone: tzinfo) -> str:
    """Unix seconds as a time of day, with seconds."""
    return datetime.fromtimestamp(seconds, zone).strftime("%H:%M:%S")
