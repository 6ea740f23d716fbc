"""What the voice of a person does: it takes the floor, gives it back, or is only a sign of listening."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

from greenline.agents.config import ConversationConfig
from greenline.channels.live.conversation import Conversation
from greenline.channels.live.floor import Floor
from greenline.channels.live.models import TurnProbability, UserTranscript, VadScore
from greenline.channels.live.timers import Timers
from greenline.channels.live.words import Meanwhile, Words
from greenline.clock import Clock
from greenline.conversations.events import Noted, TurnFailed, UserMessage
from greenline.conversations.heard import awaits_answer
from greenline.ids import new_id

SIGN_SECONDS: Final = 0.8
"""A sign of listening is shorter: who speaks on wants to interrupt, whatever the words turn out to be."""
SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("mhm", "mm", "uh huh", "yeah", "yes", "yep", "ok", "okay", "right", "sure", "i see"),
    "de": ("mhm", "hm", "aha", "ja", "jap", "okay", "ok", "genau", "gut", "ach so"),
    "es": ("mm", "aja", "ajá", "sí", "vale", "ok", "claro", "bueno"),
    "fr": ("mm", "hum", "oui", "ouais", "d'accord", "ok", "bien sûr", "je vois"),
    "pt": ("hum", "aham", "sim", "tá", "ok", "certo", "claro"),
    "it": ("mm", "sì", "ok", "certo", "va bene", "capisco"),
}
"""Signs of listening that `merge_with_default_ignore_terms` adds."""
UNCLEAR_SECONDS: Final = 0.8
"""Of voice without a word: less may be a cough, or a sign of listening."""
UNCLEAR: Final[Mapping[str, str]] = {
    "en": "Sorry, I didn't catch that. Could you say it again?",
    "de": "Das habe ich leider nicht verstanden. Können Sie es noch einmal sagen?",
    "es": "Perdón, no le he entendido. ¿Podría repetirlo?",
    "fr": "Pardon, je n'ai pas compris. Pouvez-vous répéter ?",
    "pt": "Desculpe, não entendi. Pode repetir?",
    "it": "Scusi, non ho capito. Può ripetere?",
}
"""What a person is asked then, where no setting says it."""
NOISES: Final = 3
"""So often in a row something sounded like voice, and held no word: that is no person who is unclear."""
_BARGE: Final = "barge"


class Talk(Protocol):
    """The person's side of the conversation."""

    @property
    def human(self) -> bool:
        """Whether a human answers instead of the agent."""
        ...

    @property
    def recogniser(self) -> str:
        """Who hears the person; empty while nobody does."""
        ...

    @property
    def pausing(self) -> bool:
        """Whether the agent leaves its turn out (reference: ``skip_turn``)."""
        ...

    def person_is_there(self) -> None:
        """The person is heard: no turn timeout for now."""
        ...

    def heard(self, said: UserMessage, event_id: int | None = None) -> None:
        """The person has said something, which the turn ``event_id`` answers already."""
        ...

    def person_said(self, words: Words, voice: tuple[float, float] | None = None) -> None:
        """The person has finished a turn."""
        ...

    def wait_for_person(self) -> None:
        """It is the person's turn."""
        ...


class Hearing:
    """A `greenline.channels.live.listening.Hearer`.

    ``began`` tells when the voice began, ``voice`` when it ended, and when that was noticed.
    """

    def __init__(
        self,
        conversation: Conversation,
        floor: Floor,
        talk: Talk,
        meanwhile: Meanwhile,
        timers: Timers,
        config: ConversationConfig,
        clock: Clock,
        *,
        began: Callable[[], datetime | None],
        voice: Callable[[], tuple[float, float]],
        failure_message: str,
        unclear_message: str | None,
        always_guesses: bool,
    ) -> None:
        self._conversation = conversation
        self._floor = floor
        self._talk = talk
        self._meanwhile = meanwhile
        self._timers = timers
        self._config = config
        self._clock = clock
        self._began = began
        self._voice = voice
        self._failure_message = failure_message
        self._unclear_message = unclear_message
        self._always_guesses = always_guesses
        self._signs = _signs(config)
        self._without_words = 0
        self._told_of_noise = False
        self._has_stopped = False
        """Whether the voice that is heard, or was last, has stopped an answer."""

    def use(self, config: ConversationConfig) -> None:
        """The agent goes on in another language."""
        self._config = config
        self._signs = _signs(config)

    def voice_began(self) -> None:
        """The person begins to speak: the agent stops, if it may be interrupted."""
        self._talk.person_is_there()
        self._has_stopped = False
        if not self._floor.interruptible:
            return
        if self._signs:
            self._timers.set(_BARGE, SIGN_SECONDS, self._interrupt)
        else:
            self._interrupt()

    def seems_to_say(self, text: str) -> None:
        """What the utterance seems to be so far."""
        self._conversation.tell(UserTranscript(self._floor.next_id, text, tentative=True))
        if not self._is_sign(text):
            self._interrupt()

    def may_have_said(self, text: str) -> None:
        """The person pauses: begin to answer on suspicion, where the agent does, unless it still speaks."""
        self._timers.stop(_BARGE)
        guesses = self._always_guesses or self._config.turn.speculative_turn
        # What waits comes before what may have been said: a guess would not answer it.
        if guesses and self._floor.free and not (self._talk.human or self._meanwhile):
            self._floor.respond(self._message(text), committed=False, voice=self._voice())

    def goes_on(self) -> None:
        """The person speaks on: the guess was wrong."""
        self._floor.drop()

    def has_said(self, text: str, seconds: float) -> None:
        """The person has finished, after ``seconds`` of voice."""
        self._timers.stop(_BARGE)
        if self._floor.speaks:
            self._said_meanwhile(text)
            return
        guess = self._floor.guess
        if text and guess is not None and guess.said is not None and guess.said.text == text:
            self._without_words = 0
            self._talk.heard(guess.said, guess.event_id)
            guess.commit()
            return
        self._floor.drop()
        if text:
            self._without_words = 0
            self._talk.person_said(Words(text, "audio", began=self._began()), self._voice())
        elif not (
            self._conversation.over or self._tells_of_noise() or self._begins_anew() or self._asks_again(seconds)
        ):
            self._talk.wait_for_person()

    def is_deaf(self, error: BaseException, text: str = "") -> None:
        """Recognition failed: the person is told, unless they may not interrupt; the operator sees it.

        ``text`` is what was understood nevertheless of what they said.
        """
        self._timers.stop(_BARGE)
        self._conversation.record(TurnFailed(code="recognition_failed", reason=str(error)))
        if self._floor.speaks and not self._floor.interruptible:
            self._said_meanwhile(text)
            return
        if text:
            self._talk.heard(self._message(text))
        if self._failure_message and not self._talk.human:
            self._floor.say(self._failure_message, "failure")

    def window(self, score: float) -> None:
        """The probability of voice in the last window."""
        if "vad_score" in self._config.conversation.client_events:
            self._conversation.tell(VadScore(round(score, 3)))

    def may_be_over(self, probability: float) -> None:
        """How likely it is that the person has finished."""
        if "internal_turn_probability" in self._config.conversation.client_events:
            self._conversation.tell(TurnProbability(round(probability, 3)))

    def _tells_of_noise(self) -> bool:
        """Whether the person is told, once, that they can't be understood (reference: noisy environments).

        Who asked for a moment is not: the agent is silent until they speak, or the moment is over.
        """
        if self._talk.pausing:
            return False
        self._without_words += 1
        turn = self._config.turn
        if self._without_words < NOISES or self._told_of_noise or self._talk.human:
            return False
        if not (turn.noisy_environment_detection and turn.noisy_environment_message):
            return False
        self._told_of_noise = True
        self._conversation.record(Noted(what="noisy_environment"))
        self._floor.say(turn.noisy_environment_message, "notice")
        return True

    def _begins_anew(self) -> bool:
        """Whether an answer is made again: a noise has stopped it before a word of it was heard."""
        owed = self._has_stopped and awaits_answer(self._conversation.journal)
        if not owed or self._without_words >= NOISES or self._talk.human or self._talk.pausing:
            return False
        self._floor.respond(committed=True)
        return True

    def _asks_again(self, seconds: float) -> bool:
        """Whether the person is asked to say it again: they have spoken, and wait for an answer."""
        if seconds < UNCLEAR_SECONDS or self._without_words >= NOISES or self._talk.human or self._talk.pausing:
            return False
        own = self._unclear_message
        question = UNCLEAR.get(self._config.agent.language.partition("-")[0], "") if own is None else own
        if question:
            self._conversation.record(Noted(what="not_understood"))
            self._floor.say(question, "notice")
        return bool(question)

    def _said_meanwhile(self, text: str) -> None:
        if text and self._is_sign(text):
            self._conversation.record(self._message(text).model_copy(update={"is_sign": True}))
        elif text and self._floor.interruptible:
            self._talk.person_said(Words(text, "audio", began=self._began()), self._voice())
        elif text and self._config.turn.transcribe_on_disabled_interruptions:
            self._meanwhile.say(text, self._began())

    def _interrupt(self) -> None:
        self._timers.stop(_BARGE)
        if self._floor.interruptible:
            self._has_stopped = True
            self._floor.give_way()

    def _message(self, text: str) -> UserMessage:
        now = self._clock.now()
        return UserMessage(
            id=new_id("msg"),
            text=text,
            medium="audio",
            type="audio",
            recogniser=self._talk.recogniser,
            began=self._began(),
            sent_at=now,
            received_at=now,
        )

    def _is_sign(self, text: str) -> bool:
        """Whether ``text`` is only a sign of listening ("mhm"), and the agent speaks."""
        words = _plain(text)
        return self._floor.speaks and (words in self._signs or all(word in self._signs for word in words.split()))


def _signs(config: ConversationConfig) -> frozenset[str]:
    turn = config.turn
    terms = {_plain(term) for term in turn.interruption_ignore_terms}
    if turn.merge_with_default_ignore_terms:
        for language in turn.interruption_ignore_term_languages or (config.agent.language,):
            terms.update(_plain(term) for term in SIGNS.get(language.partition("-")[0], ()))
    return frozenset(terms)


def _plain(text: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in text.lower()).split())
