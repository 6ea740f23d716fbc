"""Exact BM25 over a few hundred passages in memory: how the offline model finds what it was given."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final, Protocol

import snowballstemmer

from greenline.llm.phrases import STEMMERS, concepts, languages, without_concepts, words

K1: Final = 1.2  # Robertson and Zaragoza 2009: the usual saturation
CONCEPT: Final = "#"
B: Final = 0.6  # shorter passages gain a little less than in long documents
_CONTRACTED: Final = frozenset({"", "d", "ll", "m", "re", "s", "t", "ve"})
VOCABULARY: Final = 20_000
"""Stems that are kept: a business and those who write to it use few words, and a stem takes 0.1 ms to find."""


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...


@cache
def _stemmer(language: str) -> _Stemmer:
    stemmer: _Stemmer = snowballstemmer.stemmer(STEMMERS[language])
    return stemmer


@cache
def _stop_words() -> frozenset[str]:
    return frozenset().union(*(language.stop for language in languages().values()))


def terms(text: str, language: str) -> list[str]:
    """What a text is about: the stems of the words that carry meaning, and its concepts."""
    return [*_stems(text, language), *(f"{CONCEPT}{name}" for name in sorted(concepts(text)))]


def _stems(text: str, language: str) -> list[str]:
    meaning = (part for word in words(text) for part in _parts(word) if part not in _stop_words())
    return [_stem(part, language) for part in meaning]


def _parts(word: str) -> list[str]:
    """What an apostrophe joins: "what's" is "what", and "l'adresse" is "l" and "adresse"."""
    first, _, second = word.partition("'")
    return [first] if second in _CONTRACTED else [first, second]


@lru_cache(maxsize=VOCABULARY)
def _stem(word: str, language: str) -> str:
    return _stemmer(language).stemWord(word)


class Index:
    """Passages, ranked for a question. ``language`` is that of the passages."""

    def __init__(self, passages: Sequence[str], language: str) -> None:
        self._language = language
        self._counts = [Counter(terms(passage, language)) for passage in passages]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._average = sum(self._lengths) / len(self._lengths) if self._lengths else 1.0
        self._holders = Counter(term for counts in self._counts for term in counts)

    def search(self, question: str) -> list[tuple[float, int]]:
        """The places of the passages that share a term with ``question``, best first, each with its score."""
        asked = self._asked(question)
        found = [(self._score(place, asked), place) for place in range(len(self._counts))]
        return sorted((hit for hit in found if hit[0] > 0), key=lambda hit: (-hit[0], hit[1]))

    def coverage(self, question: str, place: int) -> float:
        """The share of what ``question`` asks for, by weight, that a passage speaks of: from 0 to 1."""
        asked = self._asked(question)
        rarest = self._weight("")
        weights = {term: rarest if term.startswith(CONCEPT) else self._weight(term) for term in asked}
        total = sum(weights.values())
        return sum(weights[term] for term in asked if term in self._counts[place]) / total if total else 0.0

    def shared(self, question: str, place: int) -> int:
        """How many terms of ``question`` a passage speaks of."""
        return sum(term in self._counts[place] for term in self._asked(question))

    def _asked(self, question: str) -> set[str]:
        """The terms of a question. A word that only names a concept, in whichever language, is no term besides it."""
        own = set(_stems(without_concepts(question), self._language))
        return {
            term
            for term in terms(question, self._language)
            if term in own or term in self._holders or term.startswith(CONCEPT)
        }

    def _weight(self, term: str) -> float:
        """How much a term tells: its inverse document frequency."""
        total, holding = len(self._counts), self._holders[term]
        return math.log(1 + (total - holding + 0.5) / (holding + 0.5))

    def _score(self, place: int, asked: set[str]) -> float:
        counts = self._counts[place]
        norm = K1 * (1 - B + B * self._lengths[place] / (self._average or 1.0))
        return sum(
            self._weight(term) * counts[term] * (K1 + 1) / (counts[term] + norm) for term in asked if term in counts
        )
