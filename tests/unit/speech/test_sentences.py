"""How a text that streams is cut into what is spoken on its own."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.speech.sentences import LONGEST, PASSAGE, Sentences, passages

_pieces = st.lists(st.text(alphabet="ab .,!?;\n…。-", max_size=40), max_size=30)


def cut(*pieces: str) -> list[str]:
    sentences = Sentences()
    return [sentence for piece in pieces for sentence in sentences.push(piece)] + sentences.flush()


def test_a_sentence_is_given_as_soon_as_it_is_over() -> None:
    sentences = Sentences()
    assert sentences.push("Yes. We ha") == ["Yes. "]
    assert sentences.push("ve tea") == []
    assert sentences.push("! Which") == ["We have tea! "]
    assert sentences.flush() == ["Which"]


def test_words_of_a_sentence_can_be_had_before_its_end() -> None:
    sentences = Sentences()
    assert not sentences.unfinished
    assert sentences.push("We have gre") == []
    assert sentences.unfinished
    assert (sentences.words(), sentences.words()) == ("We have ", "")  # of "gre" nobody knows whether it is whole
    assert sentences.push("en tea. ") == ["green tea. "]
    assert not sentences.unfinished
    assert sentences.words() == ""


@pytest.mark.parametrize(
    ("written", "words", "rest"),
    [
        ("I would like to [in a low", "I would like to ", " voice] help. "),
        ("Hold on <break time=", "Hold on ", '"1.5s" /> please. '),
        ("See [our ", "See ", "docs](https://example.com) first. "),
        ("[sadly] We have no ", "[sadly] We have no ", "tea. "),
    ],
)
def test_a_tag_that_has_begun_is_no_words(written: str, words: str, rest: str) -> None:
    sentences = Sentences()
    assert sentences.push(written) == []
    assert sentences.words() == words
    assert "".join([*sentences.push(rest), *sentences.flush()]) == written.removeprefix(words) + rest


def test_a_number_is_not_cut_at_its_point() -> None:
    assert cut("It costs 3.5", "0 euros.") == ["It costs 3.50 euros."]


def test_a_title_an_initial_a_day_and_the_number_of_an_entry_stay_with_what_follows() -> None:
    assert cut("Dr. Smith and J. R. Brown. They", " come.") == ["Dr. Smith and J. R. Brown. ", "They come."]
    assert cut("Wir haben am 3.", " Mai geöffnet. Und am 24.12. auch.") == [
        "Wir haben am 3. Mai geöffnet. ",
        "Und am 24.12. auch.",
    ]
    assert cut("1. Dig\n2. Plant\n") == ["1. Dig\n", "2. Plant\n"]
    assert cut("In the year 2026. No. Yes.") == ["In the year 2026. ", "No. ", "Yes."]


def test_only_the_first_piece_may_end_at_a_comma() -> None:
    long = "we have many kinds of tea from everywhere in the world, "
    assert cut(long, long, "and coffee.") == [long, f"{long}and coffee."]


def test_a_text_without_an_end_is_cut_at_a_space() -> None:
    found = cut("word " * 200)
    assert all(len(sentence) <= LONGEST for sentence in found)
    assert "".join(found).strip() == ("word " * 200).strip()


def test_a_sentence_that_comes_whole_is_cut_as_well() -> None:
    assert all(len(sentence) <= LONGEST for sentence in cut("word " * 200 + "end. Yes."))


def test_a_long_text_is_spoken_in_passages_of_whole_sentences() -> None:
    text = "We have many kinds of tea from everywhere in the world. " * 40
    found = passages(text)
    assert "".join(found) == text
    assert all(len(passage) <= PASSAGE for passage in found)
    assert all(passage.endswith("world. ") for passage in found)
    assert passages("Yes. We have tea.") == ["Yes. We have tea."]
    assert passages(" ") == []


@given(_pieces)
def test_nothing_is_lost_or_said_twice(pieces: list[str]) -> None:
    assert "".join(cut(*pieces)).rstrip() == "".join(pieces).rstrip()


def test_thousands_of_points_hold_nobody_up() -> None:
    begun, points = time.process_time(), "." * 40_000
    assert Sentences().push(points) == []
    assert time.process_time() - begun < 1.0
