"""Who spells something out is given time for the next piece."""

from __future__ import annotations

import pytest

from greenline.speech.spelling import looks_spelled


@pytest.mark.parametrize(
    "text",
    [
        "My name is S M I",
        "It's B, O, B.",
        "B-O-B",
        "the order is 4 4 7",
        "order number 44712",
        "three five seven",
        "a b c dot",
        "It is double",
        "Ö Ä",
    ],
)
def test_letters_digits_and_what_joins_them_are_spelled(text: str) -> None:
    assert looks_spelled(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "What are your opening hours?",
        "Can I",
        "I have one question",
        "At 9",
        "I",
        "It is 12 o'clock.",
        "a-ha",
    ],
)
def test_sentences_are_not(text: str) -> None:
    assert not looks_spelled(text)
