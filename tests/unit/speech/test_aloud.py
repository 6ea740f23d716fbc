"""What of an answer is read aloud, and what must be seen."""

import time

import pytest

from greenline.speech.aloud import needs_reading, speakable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("We open at *nine*. 🌿", "We open at nine ."),
        ("See https://fern.example/a?b=1 for more.", "See fern.example for more."),
        ("It is at https://www.fern.example/way/.", "It is at fern.example."),
        ("Our shop (www.fern.example), open daily", "Our shop (fern.example), open daily"),
        ("Ask [our gardener](https://fern.example/ask?a=1#b).", "Ask our gardener."),
        ("![A fern](https://fern.example/fern.png)", "A fern"),
        ("- a fern\n- a palm", "a fern\na palm"),
        ("🌿🌿\n***", ""),
        ("3 – 5 days\n\n\nPoštovné", "3 – 5 days\nPoštovné"),
    ],
)
def test_words_are_what_one_reads_aloud(text: str, words: str) -> None:
    assert speakable(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "It is at https://fern.example",
        "Write to help@fern.example",
        "You need:\n- soil\n- a pot",
        "1. Dig\n2. Plant",
        "Your order is 48291734",
        "| a | b |",
    ],
)
def test_what_one_wants_to_see(text: str) -> None:
    assert needs_reading(text)


@pytest.mark.parametrize("text", ["We open at nine.", "It costs 12.50 euros - a bargain.", "In 2026 we moved."])
def test_what_can_be_said(text: str) -> None:
    assert not needs_reading(text)


@pytest.mark.parametrize("signs", ["[", "[x](", "@", "\n", "a@"])
def test_thousands_of_signs_hold_nobody_up(signs: str) -> None:
    begun, text = time.process_time(), signs * (20_000 // len(signs))
    speakable(text)
    needs_reading(text)
    assert time.process_time() - begun < 1.0
