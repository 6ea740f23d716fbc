"""How a text for several voices is taken apart, also while it streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.speech.labels import LabelReader, Span, spans, unlabelled

LABELS = ("Joe", "Old Ann")
_pieces = st.lists(
    st.sampled_from(["<Joe>", "</Joe>", "<old ann >", "</Old Ann>", "<", "</", "Jo", "e>", "Hi.", " ", "a", "1 < 2"]),
    max_size=20,
)


def read(*pieces: str) -> list[Span]:
    reader = LabelReader(LABELS)
    return [span for piece in pieces for span in reader.push(piece)] + reader.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello.", [Span("Hello.")]),
        ("He: <Joe>Ahoy!</Joe> So.", [Span("He: "), Span("Ahoy! ", "Joe"), Span("So.")]),
        ("<Joe>Ahoy!</Joe><Old Ann>Hi.</Old Ann>", [Span("Ahoy! ", "Joe"), Span("Hi.", "Old Ann")]),
        ("<JOE>Ahoy, </joe>, he said.", [Span("Ahoy, ", "Joe"), Span(", he said.")]),
        ("<Joe>Never closed. Never.", [Span("Never closed. Never.", "Joe")]),
        ("<Bob>Not one of ours</Bob> 1 < 2", [Span("<Bob>Not one of ours</Bob> 1 < 2")]),
        ("<Joe></Joe>", []),
    ],
)
def test_a_text_is_taken_apart_by_its_labels(text: str, expected: list[Span]) -> None:
    assert spans(text, LABELS) == expected


def test_words_of_two_voices_do_not_run_together() -> None:
    assert unlabelled("<Joe>Ahoy!</Joe><Old Ann>Hi.</Old Ann> Bye.", LABELS) == "Ahoy! Hi. Bye."
    assert unlabelled("He says <Joe>ahoy</Joe>, and “<Joe>go</Joe>”.", LABELS) == "He says ahoy, and “go”."


def test_only_what_may_be_a_label_is_kept_back() -> None:
    reader = LabelReader(LABELS)
    assert reader.push("Listen: <") == [Span("Listen: ")]
    assert reader.push("Jo") == []
    assert reader.push("e>Aho") == [Span("Aho", "Joe")]
    assert reader.push("y, 2 <") == [Span("y, 2 ", "Joe")]
    assert reader.push(" 3") == [Span("< 3", "Joe")]
    assert reader.push("</jo") == []
    assert reader.flush() == [Span("</jo", "Joe")]
    assert reader.push("Next.") == [Span("Next.")]


@given(_pieces)
def test_a_text_that_streams_is_taken_apart_as_one_that_is_there(pieces: list[str]) -> None:
    streamed, whole = read(*pieces), read("".join(pieces))
    letters = [(letter, span.label) for span in streamed for letter in span.text]
    assert letters == [(letter, span.label) for span in whole for letter in span.text]
