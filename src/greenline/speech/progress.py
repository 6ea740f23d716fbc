"""Whether the sound of a voice can be that of its text: streams are cut, noises come, some voices never end."""

from __future__ import annotations

import re
from typing import Final

from greenline.speech.errors import SynthesisError
from greenline.speech.models import Chunk, Synthesiser
from greenline.speech.tags import readable

_BYTES_PER_SAMPLE: Final = 2
_FASTEST: Final = 50
"""Letters a second that no voice speaks at its usual speed: French, of which much is not heard, has 27."""
_SLOWEST: Final = 2
"""Letters a second that voices speak; of digits, each of which is a word, there are as many. A script that a voice
can only spell takes longer: its sentence is stopped, and the voice is not to blame.
"""
_PAUSES_SECONDS: Final = 20.0
"""More than a sentence has of them."""
_UNTOLD: Final = 1 / 3
"""Of the letters, of which a voice that tells the times of characters may tell none."""
_BEGUN: Final = re.compile(r"(?<!\S)\S{1,30}\Z")
"""A word at the end of what was said. What is longer is none: there are languages without spaces."""


class Progress:
    """How far a voice has come with a text, and whether its sound can be that of all of it."""

    def __init__(self, voice: Synthesiser, text: str, speed: float) -> None:
        self._voice = voice
        self._text = text
        self._speed = speed
        self._letters = _letters(readable("", text))
        self._said = 0
        """Characters of which the voice has told the times."""
        self._tells = True
        self._seconds = 0.0

    def add(self, chunk: Chunk) -> None:
        """A piece. Raises `SynthesisError` when there are too many."""
        self._said += len(chunk.alignment.chars) if chunk.alignment else 0
        self._tells = self._tells and (chunk.alignment is not None or not chunk.pcm)
        self._seconds += len(chunk.pcm) / _BYTES_PER_SAMPLE / self._voice.rate
        if self._seconds > _PAUSES_SECONDS + self._letters / _SLOWEST / min(self._speed, 1.0):
            raise SynthesisError(self._voice.name, f"{self._seconds:.0f} s of sound, and no end", of_request=True)

    def end(self) -> None:
        """That was all. Raises `SynthesisError` when it can't be: a stream that was cut may look like a whole one."""
        if self._is_torn() or self._seconds * _FASTEST * max(self._speed, 1.0) < self._letters:
            raise SynthesisError(self._voice.name, "the sound ends before the words do", of_request=True)

    @property
    def rest(self) -> str:
        """What was not said, from a whole word: the end of one that was cut in two is none."""
        begun = (
            _BEGUN.search(self._text, 0, self._said) if self._text[self._said : self._said + 1].isalnum() else None
        )
        return self._text[begun.start() if begun else self._said :]

    def _is_torn(self) -> bool:
        """Whether a voice that tells the times of characters has told none of many; of a tag it may tell none."""
        told = self._tells and self._said and readable("", self._text) == self._text
        return bool(told) and _letters(self._text[self._said :]) > self._letters * _UNTOLD


def _letters(text: str) -> int:
    return sum(char.isalnum() for char in text)
