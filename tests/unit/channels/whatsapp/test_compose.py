"""As few messages as possible, none over Meta's limits, nothing lost."""

import math
import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.compose import MAX_BUTTON_BODY, MAX_TEXT, compose, split_text
from greenline.engine.turn import Spoken
from greenline.tools.models import Button, Buttons, Menu, Row, Section, Text

BUTTONS = Buttons("Pick one", (Button("y", "Yes"), Button("n", "No")), "Footer")


def words(text: str) -> str:
    return re.sub(r"\s+", "", text)


@given(st.text(max_size=3000), st.integers(10, 400))
def test_split_keeps_every_word_and_the_limit(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert words("".join(pieces)) == words(text)


def test_split_cuts_between_sentences() -> None:
    text = "One sentence here. Another sentence there. And a third one to end."
    assert split_text(text, 45) == ["One sentence here. Another sentence there.", "And a third one to end."]


def test_split_prefers_a_paragraph_to_a_sentence() -> None:
    text = "A first paragraph.\n\nThe second one. It has two sentences."
    assert split_text(text, 37) == ["A first paragraph.", "The second one. It has two sentences."]


def test_split_counts_no_piece_too_many() -> None:
    assert len(split_text("word " * 1600)) == 2


def test_a_border_that_costs_a_message_is_passed_over() -> None:
    paragraphs = "\n\n".join(["Ten letters. " * 150] * 3)
    first, second = split_text(paragraphs)
    assert first.endswith("letters.")
    assert second.endswith("letters.")


@given(st.integers(), st.integers(800, 3000))
def test_a_text_of_words_needs_no_more_messages_than_its_length(seed: int, count: int) -> None:
    pieces = ["word ", "A sentence ends. ", "line\n", "Paragraph.\n\n"]
    text = "".join(Random(seed).choices(pieces, k=count)).strip()
    assert len(split_text(text)) <= math.ceil(len(text) / (MAX_TEXT - 40))


def test_texts_of_one_turn_travel_together() -> None:
    [message] = compose([Spoken("a", Text("Hello!")), Spoken("b", Text("We open at nine."))])
    assert message.body["text"]["body"] == "Hello!\n\nWe open at nine."
    assert message.event_ids == ("a", "b")


def test_text_joins_the_body_of_buttons() -> None:
    [message] = compose([Spoken("a", Text("Hello!")), Spoken("b", BUTTONS)])
    assert message.kind == "interactive"
    assert message.body["interactive"]["body"]["text"] == "Hello!\n\nPick one"
    assert message.body["interactive"]["footer"]["text"] == "Footer"
    assert message.event_ids == ("a", "b")


def test_long_text_goes_before_buttons() -> None:
    first, second = compose([Spoken("a", Text("x" * MAX_BUTTON_BODY)), Spoken("b", BUTTONS)])
    assert first.kind == "text"
    assert second.body["interactive"]["body"]["text"] == "Pick one"
    assert (first.event_ids, second.event_ids) == (("a",), ("b",))


def test_a_list_has_its_sections_and_rows() -> None:
    menu = Menu("What would you like?", "Choose", (Section("", (Row("1", "Tea"), Row("2", "Coffee", "Black"))),))
    [message] = compose([Spoken("a", menu)])
    action = message.body["interactive"]["action"]
    assert action["button"] == "Choose"
    assert action["sections"] == [
        {"rows": [{"id": "1", "title": "Tea"}, {"id": "2", "title": "Coffee", "description": "Black"}]}
    ]


def test_nothing_said_is_no_message() -> None:
    assert compose([]) == []
    assert compose([Spoken("a", Text("  \n "))]) == []


@given(st.lists(st.text(min_size=1, max_size=3000), max_size=6))
def test_no_message_is_over_the_limit(texts: list[str]) -> None:
    messages = compose([Spoken(str(place), Text(text)) for place, text in enumerate(texts)])
    assert all(len(message.body["text"]["body"]) <= MAX_TEXT for message in messages)
    assert words("".join(message.body["text"]["body"] for message in messages)) == words("".join(texts))


def test_markdown_is_sent_as_whatsapp_formats_text() -> None:
    [message] = compose([Spoken("m", Text("**Open** today"))])
    assert message.body["text"]["body"] == "*Open* today"
    [menu] = compose([Spoken("m", Text("## Hours")), Spoken("t", Buttons("**Pick** one", BUTTONS.buttons))])
    assert menu.body["interactive"]["body"]["text"] == "*Hours*\n\n*Pick* one"
