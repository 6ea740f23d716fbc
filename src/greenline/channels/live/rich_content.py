"""What the official widget draws under the words of a chat (reference: ``rich_content``).

The facts are those of its public source. It names itself ``widget`` and draws components in conversations by text
only. All of its versions that draw any, since 0.16, know ``buttons``: at most three in a row, each with what a tap
sends as the person's own message. A row goes when the person has said something; the tap names its row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from greenline.agents.config.widget import SOURCE as WIDGET
from greenline.agents.initiation import SourceInfo
from greenline.conversations.events import Event, Noted, Started
from greenline.tools.models import Button, Buttons, Menu

COMPONENT: Final = "buttons"
MOST_BUTTONS: Final = 3
SHOWN: Final = "rich_content"
"""What is noted in the journal when a row is shown."""
_SINCE: Final = (0, 16)
_VERSION: Final = re.compile(r"(\d{1,9})\.(\d{1,9})")


def draws_components(started: Started, client: SourceInfo) -> bool:
    """Whether the client of the conversation draws components. A widget that hides its version is taken for new."""
    version = _VERSION.match(client.version or "")
    is_new = version is None or (int(version[1]), int(version[2])) >= _SINCE
    return started.text_only and started.source == WIDGET and is_new


def words_of(say: Buttons | Menu) -> str:
    """The words beside the buttons: all but the titles that stand on them."""
    if isinstance(say, Buttons):
        return _lines(say.body, say.footer)
    rows = [row for section in say.sections for row in section.rows]
    told = [f"- {row.title} – {row.description}" for row in rows if row.description]
    return _lines(say.header, say.body, *told, say.footer)


def _lines(*parts: str | None) -> str:
    return "\n".join(part for part in parts if part)


def rows_of(say: Buttons | Menu) -> Iterator[dict[str, Any]]:
    """The props of the rows of buttons; those of a list follow its sections."""
    if isinstance(say, Buttons):
        yield _props(say.buttons)
        return
    for section in say.sections:
        buttons = [Button(row.id, row.title) for row in section.rows]
        for at in range(0, len(buttons), MOST_BUTTONS):
            yield _props(buttons[at : at + MOST_BUTTONS])


def _props(row: Sequence[Button]) -> dict[str, Any]:
    """``id`` is that of the choice: the widget passes over it, a page of one's own may use it."""
    titles = Counter(button.title for button in row)
    return {
        "buttons": [
            {
                "type": "message",
                "label": button.title,
                "message": button.title if titles[button.title] == 1 else f"{button.title} ({button.id})",
                "id": button.id,
            }
            for button in row
        ]
    }


def shown(rich_content_id: str, request_id: str, props: dict[str, Any]) -> Noted:
    """A row as the journal keeps it; ``request_id`` is that of the tool call which it comes from."""
    detail = {"rich_content_id": rich_content_id, "request_id": request_id, "component": COMPONENT, "props": props}
    return Noted(what=SHOWN, detail=detail)


def tapped(journal: Iterable[Event], rich_content_id: str, message: str) -> Button | None:
    """The button of a row that was shown; None where there is no such row, or ``message`` is not of it."""
    for event in journal:
        if isinstance(event, Noted) and event.what == SHOWN and event.detail["rich_content_id"] == rich_content_id:
            for button in event.detail["props"]["buttons"]:
                if button["message"] == message:
                    return Button(button["id"], button["label"])
    return None
