"""Whether a person who speaks has finished: by the silence after their words, or by the word of their recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from greenline.speech.models import EndOfTurn, TurnResumed
from greenline.speech.spelling import looks_spelled


class Verdict(Enum):
    """What a person seems to do."""

    GOES_ON = auto()
    PAUSES = auto()
    """Perhaps they have finished: an answer may be begun on suspicion."""
    HAS_FINISHED = auto()


class EndOfTurnDetector(Protocol):
    """Judges the turns of one person, and knows of the one that runs what it was told.

    It is asked for every window of sound, in the event loop: no method may wait.
    """

    def voiced(self) -> None:
        """Voice is heard: a silence before it was none that counts."""
        ...

    def said(self, text: str) -> None:
        """What the person seems to say, as far as it is recognised."""
        ...

    def silent(self, seconds: float) -> Verdict:
        """What it means that there was no voice for so long."""
        ...

    def told(self, hint: EndOfTurn | TurnResumed) -> Verdict | None:
        """What the recogniser's own view means; None where it counts for nothing."""
        ...

    def likelihood(self, seconds: float) -> float:
        """How likely a silence of so many seconds is the end; above 1 where it has been one for longer."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence must last to mean something, in seconds."""

    pause: float = 0.2
    finish: float = 0.5
    spelling: float = 0.0
    """Added to ``finish`` while a person spells something out; 0 asks nobody whether they do."""


class BySilence:
    """An `EndOfTurnDetector` that believes nobody but the clock."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._more = 0.0

    def voiced(self) -> None:
        """The next piece of what is spelled out may be the last."""
        self._more = 0.0

    def said(self, text: str) -> None:
        """Wait longer for who spells something out."""
        if self.spells(text):
            self._more = self._patience.spelling

    def silent(self, seconds: float) -> Verdict:
        """By the patience."""
        if seconds >= self._patience.finish + self._more:
            return Verdict.HAS_FINISHED
        return Verdict.PAUSES if seconds >= self._patience.pause else Verdict.GOES_ON

    def told(self, hint: EndOfTurn | TurnResumed) -> Verdict | None:
        """Nothing counts but silence."""
        return None

    def likelihood(self, seconds: float) -> float:
        """The share of the patience that is used up."""
        return seconds / (self._patience.finish + self._more)

    def spells(self, text: str) -> bool:
        """Whether more is likely to come after a pause."""
        return self._patience.spelling > 0 and looks_spelled(text)


class ByRecogniser(BySilence):
    """An `EndOfTurnDetector` that believes a recogniser which tells, and goes by silence as long as none does."""

    def told(self, hint: EndOfTurn | TurnResumed) -> Verdict:
        """Its word, but for who spells something out: recognisers take the pause after a piece for the end."""
        match hint:
            case TurnResumed():
                return Verdict.GOES_ON
            case EndOfTurn(eager=False, text=text) if not self.spells(text):
                return Verdict.HAS_FINISHED
            case EndOfTurn(eager=False, text=text):
                self.said(text)
        return Verdict.PAUSES
