"""Exact BM25 over a few hundred passages in memory: how the offline model finds what it was given."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final, Protocol

import snowballstemmer

K1: Final = 1.2  # Robertson and Zaragoza 2009: the usual saturation
B: Final = 0.6  # shorter passages gain a little less than in long documents

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
STOP_WORDS: Final = frozenset(
    resources.files(__package__ or "").joinpath("stop_words.txt").read_text(encoding="utf-8").split()
)
"""What questions are full of, in English, German, Spanish, French, Portuguese and Italian."""


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...


@cache
def _stemmer() -> _Stemmer:
    stemmer: _Stemmer = snowballstemmer.stemmer("english")
    return stemmer


@cache
def _stem(word: str) -> str:
    return _stemmer().stemWord(word)


def terms(text: str) -> list[str]:
    """The stems of the words that carry meaning."""
    words = (word.replace("’", "'").removesuffix("'s") for word in _WORD.findall(text.lower()))
    return [_stem(word) for word in words if word not in STOP_WORDS]


class Index:
    """Passages, ranked for a question."""

    def __init__(self, passages: Sequence[str]) -> None:
        self._passages = list(passages)
        self._counts = [Counter(terms(passage)) for passage in self._passages]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._average = sum(self._lengths) / len(self._lengths) if self._lengths else 1.0
        self._document_frequency = Counter(term for counts in self._counts for term in counts)

    def weight(self, term: str) -> float:
        """How much a term tells: its inverse document frequency."""
        total, holding = len(self._passages), self._document_frequency[term]
        return math.log(1 + (total - holding + 0.5) / (holding + 0.5))

    def search(self, question: str) -> list[tuple[float, str]]:
        """Passages that share a term with ``question``, best first, each with its score."""
        asked = set(terms(question))
        found = [(self._score(place, asked), passage) for place, passage in enumerate(self._passages)]
        return sorted((hit for hit in found if hit[0] > 0), key=lambda hit: -hit[0])

    def coverage(self, question: str, passage: str) -> float:
        """The share of what ``question`` asks for, by weight, that ``passage`` speaks of."""
        asked = set(terms(question))
        total = sum(self.weight(term) for term in asked)
        spoken = set(terms(passage))
        return sum(self.weight(term) for term in asked & spoken) / total if total else 0.0

    def _score(self, place: int, asked: set[str]) -> float:
        counts = self._counts[place]
        norm = K1 * (1 - B + B * self._lengths[place] / (self._average or 1.0))
        return sum(
            self.weight(term) * counts[term] * (K1 + 1) / (counts[term] + norm) for term in asked if term in counts
        )
