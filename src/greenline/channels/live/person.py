"""The person of a live conversation: what they say, write and press, and the wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import recognition_of
from greenline.channels.choices import chosen
from greenline.channels.live.conversation import Conversation
from greenline.channels.live.floor import Floor
from greenline.channels.live.hearing import Hearing
from greenline.channels.live.keypad import Keypad
from greenline.channels.live.listening import Listening
from greenline.channels.live.means import Means
from greenline.channels.live.models import UserTranscript
from greenline.channels.live.operator import Operator
from greenline.channels.live.patience import end_of_turn
from greenline.channels.live.rich_content import tapped
from greenline.channels.live.silence import Silence
from greenline.channels.live.timers import Timers
from greenline.channels.live.words import Meanwhile, Words
from greenline.conversations.events import UserMessage, UserSilent
from greenline.conversations.heard import awaits_answer
from greenline.ids import new_id
from greenline.speech.errors import SpeechError
from greenline.speech.models import RecognitionOptions
from greenline.text import clean_text

KEYS_REDACTED: Final = "[Keys pressed: REDACTED]"
"""In place of the keys of an agent with ``redact_input`` (reference: a redaction marker)."""
NO_WORDS: Final = "[A message without words]"
"""As the model reads one (reference: the text of a ``user_message`` may be null)."""


class Person:
    """A `greenline.channels.live.hearing.Talk`. ``give_up`` is called when they have been silent for too long."""

    def __init__(
        self,
        means: Means,
        conversation: Conversation,
        floor: Floor,
        operator: Operator,
        timers: Timers,
        give_up: Callable[[], asyncio.Task[None]],
    ) -> None:
        self._means = means
        self._conversation = conversation
        self._floor = floor
        self._operator = operator
        self._meanwhile = Meanwhile()
        self._silence = Silence(timers, means.clock, speak_again=self._turn_timed_out, give_up=give_up)
        self._keypad = Keypad(self._config.conversation.dtmf_input_settings, timers, self._keys_pressed)
        self._hearing = Hearing(
            conversation,
            floor,
            self,
            self._meanwhile,
            timers,
            self._config,
            means.clock,
            began=self._began,
            voice=self._voice,
            failure_message=means.settings.failure_message,
            unclear_message=means.settings.unclear_message,
            always_guesses=means.settings.speculative_turns == "always",
        )
        self._listening = self._make_listening()

    # What they do

    def hear(self, pcm: bytes, of_seconds: float | None = None) -> None:
        """Sound, as `Listening.hear` takes it."""
        self._listening.hear(pcm, of_seconds)

    def write(self, text: str, file_ids: Sequence[str] = (), rich_content_id: str | None = None) -> None:
        """A finished turn; ``rich_content_id`` is the row of buttons of which they tapped one, if there is such."""
        text = clean_text(text).strip()
        button = tapped(self._conversation.journal, rich_content_id, text) if rich_content_id else None
        if button is not None:
            text = chosen(button.title, button.id)
        row = rich_content_id if button is not None else None
        unwritten = "" if text or file_ids else NO_WORDS
        self.person_said(Words(text, "file" if file_ids else "text", tuple(file_ids), unwritten, row))

    def press(self, digit: str) -> None:
        """A key of the telephone; keys that follow each other closely are one turn."""
        self.person_is_there()
        self._keypad.press(digit)

    def shows_activity(self) -> None:
        """They are there, and have not said anything yet: the wait for them begins anew."""
        self.person_is_there()
        if self._floor.free:
            self._wait()

    def meets_another(self) -> None:
        """Who answers them has changed: what waits is theirs to answer, and the wait for the person begins anew."""
        self.person_is_there()
        if self._take_meanwhile():
            return
        if not self._floor.free:  # the last words of who spoke before are heard to their end
            return
        if awaits_answer(self._conversation.journal) and not self.human:
            self._floor.respond(committed=True)
        else:
            self.wait_for_person()

    # From the beginning to the end

    def listen(self) -> None:
        """Begin to hear them, in a conversation by voice."""
        if self._means.out is not None:
            try:
                self._listening.begin()
            except SpeechError as error:
                self._hearing.is_deaf(error)

    def use(self, config: ConversationConfig) -> None:
        """They are heard, and told of failures, in another language from now on."""
        self._hearing.use(config)
        self._listening.expect(self._expected())

    def may_pause(self, seconds: float | None) -> None:
        """As `Silence.pause`."""
        self._silence.pause(seconds)

    async def take_last_words(self) -> None:
        """What nobody will answer any more has its place in the transcript all the same."""
        self._floor.drop()
        try:
            await self._listening.finish()
        finally:
            self._floor.interrupt()
            self._keypad.finish()
            self._take_meanwhile()

    async def aclose(self) -> None:
        """Hear nothing more."""
        await self._listening.aclose()

    # `greenline.channels.live.hearing.Talk`

    @property
    def human(self) -> bool:
        """Whether a human answers them instead of the agent."""
        return self._operator.speaks

    @property
    def recogniser(self) -> str:
        """Who hears them; empty while nobody does."""
        return self._listening.recogniser

    @property
    def pausing(self) -> bool:
        """Whether the agent leaves its turn out."""
        return self._silence.pausing

    def person_is_there(self) -> None:
        """No turn timeout for now."""
        self._silence.hold()

    def person_said(self, words: Words, voice: tuple[float, float] | None = None) -> None:
        """A finished turn: whatever the agent is doing is over, where it may be interrupted.

        After the end it is only recorded.
        """
        if self._conversation.closed:
            return
        floor = self._floor
        if floor.speaks and (floor.shielded or not (floor.interruptible or self._means.agent.text_only)):
            self._meanwhile.add(words)
            return
        floor.give_way()
        self.heard(self._message(words))
        if not self.human:
            floor.respond(committed=True, voice=voice)

    def heard(self, said: UserMessage, event_id: int | None = None) -> None:
        """They have said something; ``event_id`` is that of the answer, if there is one already.

        What they said before, while the agent could not be stopped, comes before it.
        """
        self._silence.end()
        before = self._meanwhile.take()
        for message in (said,) if before is None else (self._message(before), said):
            self._conversation.record(message)
            medium: Literal["audio", "text"] = "audio" if message.medium == "audio" else "text"
            self._conversation.tell(UserTranscript(event_id or self._floor.next_id, message.text, medium=medium))

    def wait_for_person(self, seconds: float | None = None) -> None:
        """It is their turn, unless they have taken it already while the agent could not be stopped.

        ``seconds`` takes the place of the agent's turn timeout.
        """
        if self._take_meanwhile():
            return
        self._listening.begin_turn()
        self._wait(seconds)

    @property
    def _config(self) -> ConversationConfig:
        return self._means.config

    def _message(self, words: Words) -> UserMessage:
        now = self._means.clock.now()
        return UserMessage(
            id=new_id("msg"),
            text=words.text,
            medium=words.medium,
            type="interactive" if words.rich_content_id else words.medium,
            file_ids=words.file_ids,
            rich_content_id=words.rich_content_id,
            began=words.began,
            recogniser=self.recogniser if words.medium == "audio" else "",
            sent_at=now,
            received_at=now,
            unwritten=words.unwritten,
        )

    def _take_meanwhile(self) -> bool:
        """Whether they said, wrote or pressed something while the agent could not be stopped: it is a turn."""
        words = self._meanwhile.take()
        if words is None:
            return False
        self.person_said(words)
        return True

    def _keys_pressed(self, keys: str) -> None:
        settings, pressed = self._config.conversation.dtmf_input_settings, f"[Keys pressed: {keys}]"
        if settings is not None and settings.redact_input:
            self.person_said(Words(KEYS_REDACTED, "dtmf", unwritten=pressed))
        else:
            self.person_said(Words(pressed, "dtmf"))

    def _wait(self, seconds: float | None = None) -> None:
        """Not while they speak: the wait begins when they have finished."""
        text_only, speaks = self._means.agent.text_only, self._listening.hears_voice
        if not (text_only or speaks or self.human or self._conversation.over):
            self._silence.wait(self._config.turn, seconds)

    def _turn_timed_out(self) -> None:
        self._conversation.spawn(self._speak_into_silence())

    async def _speak_into_silence(self) -> None:
        """Unless it is none: their voice may have been too quiet to be detected."""
        words = await self._listening.hear_again()
        if not self._floor.free or self.human or self._listening.busy or self._silence.nudging:
            return
        if words:
            self.person_said(Words(words, "audio"))
            return
        self._silence.nudge()
        self._conversation.record(UserSilent(asked_for_it=self._silence.pausing))
        self._floor.respond(committed=True)

    # Listening

    def _make_listening(self) -> Listening:
        """It never begins in a conversation by text."""
        means, turn = self._means, self._config.turn
        return Listening(
            means.speech,
            self._expected(),
            end_of_turn(turn, means.settings),
            self._hearing,
            means.clock,
            means.now,
            begin=means.settings.barge_in_seconds,
            seconds=means.settings.speech_patience_seconds,
            hears_again=means.out is not None and turn.retranscribe_on_turn_timeout,
        )

    def _expected(self) -> RecognitionOptions:
        return replace(recognition_of(self._config), usage=self._means.usage)

    def _began(self) -> datetime | None:
        at = self._listening.began_at
        return None if at is None else self._means.moment(at)

    def _voice(self) -> tuple[float, float]:
        return self._listening.last_voice_at, self._listening.paused_at
