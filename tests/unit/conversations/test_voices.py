from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenline.conversations.events import VoicePart
from greenline.conversations.voices import beginnings

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = (VoicePart(text="He says: "), VoicePart(text="Ahoy! And go. ", label="Joe"), VoicePart(text="Bye."))


def began(*sounded: tuple[str, float | None]) -> list[float]:
    moments = [(text, None if at is None else BEGIN + timedelta(seconds=at)) for text, at in sounded]
    return [(at - BEGIN).total_seconds() for at in beginnings(PARTS, moments)]


def test_a_part_begins_with_its_first_sentence() -> None:
    assert began(("He says: ", 1), ("Ahoy! ", 2), ("And go. ", 3), ("Bye.", 4)) == [1, 2, 4]
    assert began(("He says:", 1), ("Ahoy!", 2), ("And go.", 3)) == [1, 2]
    assert began() == []


def test_a_part_begins_with_the_first_sentence_that_could_be_spoken() -> None:
    assert began(("He says: ", 1), ("Ahoy! ", None), ("And go. ", 3), ("Bye.", None)) == [1, 3]


def test_a_sentence_of_two_parts_began_for_both() -> None:
    """So it is where a label has no voice of its own: nobody else takes over."""
    assert began(("He says: Ahoy! ", 1), ("And go. ", 2), ("Bye.", 3)) == [1, 1, 3]
