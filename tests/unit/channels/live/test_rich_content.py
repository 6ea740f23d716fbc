from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenline.agents.initiation import SourceInfo
from greenline.channels.live.rich_content import draws_components, rows_of, shown, tapped, words_of
from greenline.conversations.events import Event, Noted, Started, dump_event, load_event
from greenline.tools.models import Button, Buttons, Menu, Row, Section

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEAS = Buttons("Which tea?", (Button("g", "Green"), Button("b", "Black")), "Both are organic.")


def menu(*sections: Section, header: str | None = None) -> Menu:
    return Menu("Choose a tea.", "Open", sections, header)


@pytest.mark.parametrize(
    ("source", "version", "text_only", "draws"),
    [
        ("widget", "0.16.0", True, True),
        ("widget", "1.0.0", True, True),
        ("widget", None, True, True),
        ("widget", "0.14.8", True, False),
        ("widget", "0.17.0", False, False),
        ("js_sdk", "1.25.0", True, False),
    ],
)
def test_only_a_widget_that_can_draw_does_and_only_in_chats(
    source: str, version: str | None, text_only: bool, draws: bool
) -> None:
    started = Started(agent_id="a", branch_id="b", version_id="v", source=source, text_only=text_only)
    assert draws_components(started, SourceInfo(source=source, version=version)) is draws


def test_buttons_are_one_row_under_their_words() -> None:
    assert words_of(TEAS) == "Which tea?\nBoth are organic."
    assert list(rows_of(TEAS)) == [
        {
            "buttons": [
                {"type": "message", "label": "Green", "message": "Green", "id": "g"},
                {"type": "message", "label": "Black", "message": "Black", "id": "b"},
            ]
        }
    ]


def test_a_list_is_rows_of_three_which_follow_its_sections() -> None:
    green = Section("Green", tuple(Row(f"g{n}", f"Sencha {n}") for n in range(4)))
    black = Section("Black", (Row("b", "Assam", "strong"),))
    labels = [[button["label"] for button in row["buttons"]] for row in rows_of(menu(green, black))]
    assert labels == [["Sencha 0", "Sencha 1", "Sencha 2"], ["Sencha 3"], ["Assam"]]
    assert words_of(menu(green, black, header="Teas")) == "Teas\nChoose a tea.\n- Assam – strong"


def test_buttons_of_one_title_say_different_things() -> None:
    [row] = rows_of(menu(Section("", (Row("s", "Sencha"), Row("l", "Sencha"), Row("o", "Oolong")))))
    assert [button["message"] for button in row["buttons"]] == ["Sencha (s)", "Sencha (l)", "Oolong"]


def test_a_tap_is_found_in_the_journal_by_its_row_and_its_words() -> None:
    noted = shown("rich_1", "call_1", next(rows_of(TEAS)))
    journal: list[Event] = [Noted(what="soft_timeout"), load_event("noted", dump_event(noted))]
    assert tapped(journal, "rich_1", "Black") == Button("b", "Black")
    assert tapped(journal, "rich_1", "White") is None
    assert tapped(journal, "rich_2", "Black") is None
