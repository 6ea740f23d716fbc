"""The phrases that the embedded recogniser knows, and the grammar made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

_WORD: Final = re.compile(r"[a-z']*[a-z][a-z']*")
_PRONUNCIATION: Final = re.compile(r"([a-z']+)\s*=\s*([A-Z]+(?: [A-Z]+)*)")


@dataclass(frozen=True, slots=True)
class PhraseBook:
    """Phrases as they are to be written, and how words are spoken that the dictionary lacks (phones of CMUdict)."""

    phrases: tuple[str, ...]
    pronunciations: Mapping[str, str] = field(default_factory=dict)

    def with_keywords(self, keywords: Iterable[str]) -> tuple[str, ...]:
        """The phrases, and those that an agent adds, each once."""
        return tuple({spoken(phrase): phrase for phrase in (*keywords, *self.phrases)}.values())


def spoken(phrase: str) -> str:
    """The words of a phrase as the dictionary has them: ``where's it`` for ``Where's it?``; empty with a digit."""
    text = phrase.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if any(character.isdigit() or (character.isalpha() and not character.isascii()) for character in text):
        return ""
    return " ".join(_WORD.findall(text))


def grammar(phrases: Iterable[str]) -> str:
    """A JSGF grammar of whole phrases, given by their spoken words."""
    return f"#JSGF V1.0;\ngrammar phrases;\npublic <phrase> = {' | '.join(phrases)};\n"


def read_phrases(text: str) -> PhraseBook:
    """A book from text: a phrase a line, ``word = PHONES`` for a pronunciation, ``#`` for a comment."""
    phrases, pronunciations = [], {}
    for line in (line.strip() for line in text.splitlines()):
        if match := _PRONUNCIATION.fullmatch(line):
            pronunciations[match[1]] = match[2]
        elif line and not line.startswith("#"):
            phrases.append(line)
    return PhraseBook(tuple(phrases), pronunciations)


@cache
def demo_phrases() -> PhraseBook:
    """Small talk, and questions to the shop of the demo."""
    return read_phrases(resources.files(__package__ or "").joinpath("phrases.txt").read_text(encoding="utf-8"))
