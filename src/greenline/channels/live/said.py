"""What the agent has said aloud in one turn, by whose voice, and how much of it was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from greenline.speech.models import Voice

CHARACTERS_A_SECOND: Final = 15.0
"""How fast people and voices speak: for the length of what was not spoken to its end."""
_ROUNDING: Final = 0.02


@dataclass(slots=True)
class Piece:
    """A sentence, whose it is, and how far it was spoken.

    ``part_of`` is the number of its text, None for words ``beside`` it, which may have a name. ``seconds`` were
    written, which are ``said`` of its ``characters``, as far as the voice tells; ``whole`` is whether that is all.
    ``sounds_at`` is when its first sound comes out, None before it was written. ``spoken_by`` is the synthesiser that
    began it. A piece with a ``sound`` is none of speech, and goes on until it is ``hushed``.
    """

    text: str
    part_of: int | None
    voice: Voice
    begun: bool = False
    whole: bool = False
    seconds: float = 0.0
    said: int = 0
    characters: int = 0
    sounds_at: float | None = None
    spoken_by: str = ""
    sound: bytes = field(default=b"", repr=False)
    hushed: asyncio.Event | None = None
    beside: str = ""

    def heard(self, played: float) -> str:
        """The words of the first ``played`` seconds."""
        if self.whole and played >= self.seconds - _ROUNDING:
            return self.text
        words = self.text.split()
        length = self._length()
        count = int(len(words) * min(played, self.seconds) / length) if length else 0
        return " ".join(words[: min(count, len(words) - 1)]) + " "

    def _length(self) -> float:
        if self.whole:
            return self.seconds
        if self.said:
            return self.seconds * self.characters / self.said
        return max(self.seconds, self.characters / CHARACTERS_A_SECOND)


class Said:
    """The pieces of one turn, in the order in which they are spoken. ``unplayed`` seconds at the end were cut off."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self.unplayed = 0.0

    def add(self, piece: Piece) -> None:
        """What follows all others."""
        self._pieces.append(piece)

    def heard(self) -> list[str]:
        """What of each text was heard."""
        found = [""] * self._texts
        for piece, words in self._played():
            if piece.part_of is not None:
                found[piece.part_of] += words
        return [text.strip() for text in found]

    def heard_beside(self, name: str) -> str:
        """What was heard of the words beside the texts that have this name."""
        return "".join(words for piece, words in self._played() if piece.beside == name).strip()

    def sounded(self) -> list[list[tuple[str, float | None]]]:
        """The sentences of each text, and when each began to sound, by ``now``; None for what was never heard."""
        found: list[list[tuple[str, float | None]]] = [[] for _ in range(self._texts)]
        for piece, at in self._sounding():
            if piece.part_of is not None:
                found[piece.part_of].append((piece.text, at))
        return found

    def sounded_beside(self, name: str) -> list[tuple[str, float | None]]:
        """As `sounded`, of the words beside the texts that have this name."""
        return [(piece.text, at) for piece, at in self._sounding() if piece.beside == name]

    def speakers(self) -> list[tuple[str, str] | None]:
        """The voice and the synthesiser that began each text; None where nothing of it was spoken."""
        texts = range(self._texts)
        return [_speaker(piece for piece in self._pieces if piece.part_of == text) for text in texts]

    def speaker_beside(self, name: str) -> tuple[str, str] | None:
        """As `speakers`, of the words beside the texts that have this name."""
        return _speaker(piece for piece in self._pieces if piece.beside == name)

    def _sounding(self) -> Iterator[tuple[Piece, float | None]]:
        """The pieces, and when each began to sound; None for what was never heard."""
        left = self._seconds_played()
        for piece in self._pieces:
            yield piece, piece.sounds_at if left > _ROUNDING else None
            left -= piece.seconds

    def _played(self) -> Iterator[tuple[Piece, str]]:
        """The pieces, as far as they were heard, with the words of that."""
        left = self._seconds_played()
        for piece in self._pieces:
            if not piece.begun:
                return
            yield piece, piece.heard(left)
            if left < piece.seconds - _ROUNDING:
                return
            left -= piece.seconds

    def _seconds_played(self) -> float:
        return max(0.0, sum(piece.seconds for piece in self._pieces) - self.unplayed)

    @property
    def _texts(self) -> int:
        return 1 + max((piece.part_of for piece in self._pieces if piece.part_of is not None), default=-1)


def _speaker(pieces: Iterable[Piece]) -> tuple[str, str] | None:
    return next(((piece.voice.voice_id, piece.spoken_by) for piece in pieces if piece.spoken_by), None)
