"""Who judges the end of a turn, and by what."""

from __future__ import annotations

import pytest

from greenline.agents.config.turn import TurnConfig
from greenline.channels.live.patience import end_of_turn
from greenline.settings import Settings
from greenline.speech.end_of_turn import ByRecogniser, BySilence, EndOfTurnDetector, Patience, Verdict
from greenline.speech.models import EndOfTurn, TurnResumed

PATIENCE = Patience(pause=0.2, finish=0.5, spelling=1.0)
BOTH = pytest.mark.parametrize("detector", [BySilence(PATIENCE), ByRecogniser(PATIENCE)])


@BOTH
@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.1, Verdict.GOES_ON), (0.2, Verdict.PAUSES), (0.49, Verdict.PAUSES), (0.5, Verdict.HAS_FINISHED)],
)
def test_silence_pauses_and_ends_a_turn(detector: EndOfTurnDetector, seconds: float, verdict: Verdict) -> None:
    detector.voiced()
    assert detector.silent(seconds) is verdict
    assert detector.likelihood(seconds) == seconds / 0.5


@BOTH
def test_who_spells_something_out_is_given_more_time_until_they_go_on(detector: EndOfTurnDetector) -> None:
    detector.said("the order is 4 4")
    assert detector.silent(1.4) is Verdict.PAUSES
    assert detector.likelihood(0.75) == 0.5
    detector.voiced()
    assert detector.silent(0.5) is Verdict.HAS_FINISHED


def test_silence_believes_no_recogniser() -> None:
    detector: EndOfTurnDetector = BySilence(PATIENCE)
    assert detector.told(EndOfTurn("Hello")) is None
    assert detector.told(TurnResumed()) is None


@pytest.mark.parametrize(
    ("hint", "verdict"),
    [
        (EndOfTurn("Hello"), Verdict.HAS_FINISHED),
        (EndOfTurn("Hello", eager=True), Verdict.PAUSES),
        (EndOfTurn("the order is 4 4"), Verdict.PAUSES),
        (TurnResumed(), Verdict.GOES_ON),
    ],
)
def test_a_recogniser_that_tells_is_believed_but_for_who_spells(
    hint: EndOfTurn | TurnResumed, verdict: Verdict
) -> None:
    assert ByRecogniser(PATIENCE).told(hint) is verdict


def test_a_recogniser_is_believed_of_everybody_whose_spelling_means_nothing() -> None:
    assert ByRecogniser(Patience()).told(EndOfTurn("the order is 4 4")) is Verdict.HAS_FINISHED


def test_agent_and_settings_choose_the_detector() -> None:
    settings = Settings()
    detector = end_of_turn(TurnConfig(turn_eagerness="patient", spelling_patience="off"), settings)
    finish = settings.end_of_turn_seconds["patient"]
    detector.said("the order is 4 4")
    assert detector.silent(finish - 0.01) is Verdict.PAUSES
    assert detector.silent(finish) is Verdict.HAS_FINISHED
