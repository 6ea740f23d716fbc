"""Who judges that a person has finished speaking, by the agent's configuration and the settings."""

from __future__ import annotations

from typing import Final

from greenline.agents.config.turn import TurnConfig
from greenline.settings import Settings
from greenline.speech.end_of_turn import ByRecogniser, EndOfTurnDetector, Patience

EAGER_SECONDS: Final = 0.2
"""Silence after which an answer is begun on suspicion: a model of 400 ms is heard 300 ms sooner than after 500 ms."""
SPELLING_SECONDS: Final = 1.0
"""More silence for who spells something out: they look it up, or think, between the pieces."""


def end_of_turn(turn: TurnConfig, settings: Settings) -> EndOfTurnDetector:
    """The detector for one person. Every ``turn.turn_model`` has the same: another is one more case here."""
    finish = settings.end_of_turn_seconds[turn.turn_eagerness]
    patience = Patience(
        pause=min(EAGER_SECONDS, finish),
        finish=finish,
        spelling=SPELLING_SECONDS if turn.spelling_patience == "auto" else 0.0,
    )
    return ByRecogniser(patience)
