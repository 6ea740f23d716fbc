from __future__ import annotations

import pytest

from greenline.speech.phrases import demo_phrases, grammar, read_phrases, spoken


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("Where is my order?", "where is my order"),
        ("I\N{RIGHT SINGLE QUOTATION MARK}d like that, please!", "i'd like that please"),
        ("  Yes \N{EM DASH} of course ", "yes of course"),
        ("Order 66", ""),
        ("Größe", ""),
        ("?!", ""),
        ("'", ""),
    ],
)
def test_a_phrase_is_spoken_in_words_of_the_dictionary(phrase: str, words: str) -> None:
    assert spoken(phrase) == words


def test_a_book_is_read_from_lines() -> None:
    book = read_phrases("# greeting\n\n Good day!\nmonstera = M AA N S T EH R AH\nWhere is it?\n")
    assert book.phrases == ("Good day!", "Where is it?")
    assert book.pronunciations == {"monstera": "M AA N S T EH R AH"}


def test_keywords_of_an_agent_are_phrases_and_nothing_is_there_twice() -> None:
    book = read_phrases("Yes\nNo")
    assert sorted(book.with_keywords(["yes", "Maybe"])) == ["Maybe", "No", "Yes"]


def test_the_grammar_offers_whole_phrases() -> None:
    assert "public <phrase> = yes please | no;" in grammar(["yes please", "no"])


def test_the_phrases_of_the_demo_can_all_be_spoken() -> None:
    assert all(spoken(phrase) for phrase in demo_phrases().phrases)
