"""The languages that the offline model knows a little of: six of them, as data."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any, Final

STEMMERS: Final = {
    "en": "english",
    "de": "german",
    "es": "spanish",
    "fr": "french",
    "pt": "portuguese",
    "it": "italian",
}
"""Languages and their names in Snowball; the first is the one for want of a better guess."""
DEFAULT: Final = next(iter(STEMMERS))
_ALL: Final = r"(?:\W+(?:there|all|again|everyone|zusammen|a todos))?"
"""Who may be meant by a greeting."""
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True, slots=True)
class Language:
    """What is small talk in a language, as patterns, and what to say oneself."""

    code: str
    stop: frozenset[str]
    greeting: re.Pattern[str] = field(repr=False)
    thanks: re.Pattern[str] = field(repr=False)
    goodbye: re.Pattern[str] = field(repr=False)
    nod: re.Pattern[str] = field(repr=False)
    yes: re.Pattern[str] = field(repr=False)
    no: re.Pattern[str] = field(repr=False)
    who: re.Pattern[str] = field(repr=False)
    options: re.Pattern[str] = field(repr=False)
    say: Mapping[str, str] = field(repr=False)


def words(text: str) -> list[str]:
    """The words of a text in lower case, with straight apostrophes."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


TELLING_TEXTS: Final = 20
TELLING_CHARACTERS: Final = 1_000
"""A language shows by then, and a search of everything would hold up the other conversations of a process."""


def detect(texts: Iterable[str]) -> Language:
    """The language of the first of ``texts`` that has one to be seen, by its small talk and its common words."""
    known = languages()
    for text in (whole[:TELLING_CHARACTERS] for whole in islice(texts, TELLING_TEXTS)):
        said = words(text)
        scores = {
            code: sum(word in language.stop for word in said) + 2 * _talks(text, language)
            for code, language in known.items()
        }
        best = max(scores, key=lambda code: scores[code])
        if scores[best] > 0:
            return known[best]
    return known[DEFAULT]


def asked(text: str) -> str:
    """What a message asks for: ``text`` without greetings, thanks and polite words around it, in any language."""
    before, after = _around()
    return after.sub("", before.sub("", text)).strip()


def concepts(text: str) -> set[str]:
    """What a question or a passage is about, of the few things that every business is asked."""
    return {name for name, pattern in _concepts().items() if pattern.search(text)}


def without_concepts(text: str) -> str:
    """``text`` without the words that name a concept."""
    for pattern in _concepts().values():
        text = pattern.sub(" ", text)
    return text


@cache
def languages() -> Mapping[str, Language]:
    """All of them, by their codes."""
    data = _data()
    return {code: _language(code, data[code]) for code in STEMMERS}


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files(__package__ or "").joinpath("phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _concepts() -> Mapping[str, re.Pattern[str]]:
    found: dict[str, str] = _data()["concepts"]
    return {name: re.compile(rf"\b(?:{text.replace(chr(10), '')})\b", re.I) for name, text in found.items()}


@cache
def _around() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What may stand before what a message asks for, and after it.

    Yes, no and praise only before a comma or the end of a sentence, and a name only in a greeting:
    "Good for beginners?" and "no" are about something.
    """
    every = [_data()[code] for code in STEMMERS]

    def of(*names: str) -> str:
        return _any({phrase for data in every for name in names for phrase in data[name]})

    name = r"(?-i:\s+[A-ZÀ-Þ]\w*(?:\s+(?:&|[A-ZÀ-Þ]\w*)){0,3})(?=\s*[,.!:\n]|\s*$)"
    greeting = rf"{_drawn_out({phrase for data in every for phrase in data['greetings']})}\b{_ALL}(?:{name})?"
    polite = rf"{of('thanks', 'polite')}\b"
    aside = rf"{of('nods', 'yes', 'no')}(?=\s*[,.!;\n])"
    before = re.compile(rf"^(?:\W*+(?:{greeting}|{polite}|{aside}))+\W*+", re.I)
    after = re.compile(rf"(?<!\W)(?:\W++(?:{polite}|{greeting}))+\W*+$", re.I)
    return before, after


def _language(code: str, data: Mapping[str, Any]) -> Language:
    greetings = _drawn_out(data["greetings"])
    greeting = rf"^\W*{greetings}(?:\W+{greetings})?{_ALL}\W*$"
    nod = rf"^\W*{_any(data['nods'])}\W*$"
    thanks = rf"^\W*(?:{_any(data['nods'])}\W+)?{_any(data['thanks'])}\b"
    return Language(
        code=code,
        stop=frozenset(data["stop"].split()),
        greeting=re.compile(greeting, re.I),
        thanks=re.compile(thanks, re.I),
        goodbye=re.compile(rf"\b{_any(data['goodbyes'])}\b", re.I),
        nod=re.compile(nod, re.I),
        yes=_whole(data["yes"]),
        no=_whole(data["no"]),
        who=re.compile(_any(data["who"]), re.I),
        options=re.compile(rf"\b(?:{_any(data['options'])}\b|(?P<kind>{_any(data['kinds'])})\W*$)", re.I),
        say=data["say"],
    )


def _talks(text: str, language: Language) -> bool:
    patterns = (language.greeting, language.thanks, language.goodbye, language.who)
    return any(pattern.search(text) for pattern in patterns)


def _whole(phrases: Iterable[str]) -> re.Pattern[str]:
    """One of ``phrases`` and nothing else, with or without a comma in it."""
    spaced = _any(phrases).replace(r"\ ", r"\W+")
    return re.compile(rf"^\W*{spaced}\W*$", re.I)


def _drawn_out(phrases: Iterable[str]) -> str:
    """Any of ``phrases``, the last letter as long as people like: "heyyy"."""
    patterns = (f"{_any([phrase])}{re.escape(phrase[-1])}*" for phrase in sorted(phrases, reverse=True))
    return "(?:" + "|".join(patterns) + ")"


def _any(phrases: Iterable[str]) -> str:
    longest_first = sorted(phrases, key=len, reverse=True)
    patterns = (re.escape(phrase).replace("'", "['’]").replace("…", r"\w+(?:\s\w+)?") for phrase in longest_first)
    return "(?:" + "|".join(patterns) + ")"
