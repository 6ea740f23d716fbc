"""A conversation on WhatsApp during one turn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentVersion
from greenline.agents.speech import labels_of
from greenline.agents.variables import MissingVariables, SecretVariable, check_supplied, placeholders, render
from greenline.channels.metering import speech_used
from greenline.channels.whatsapp.answer import configured
from greenline.conversations.events import (
    AgentMessage,
    Event,
    Started,
)
from greenline.conversations.projection import Projection
from greenline.engine.files import Shown
from greenline.engine.turn import Spoken
from greenline.ids import new_id
from greenline.speech.usage import SpeechUsage
from greenline.tools.models import Text


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the agent can't be asked. ``ends``: the conversation can't go on; else the next message may fare better."""

    code: str
    reason: str
    ends: bool = False


@dataclass(slots=True)
class Dialogue:
    """An open conversation during a turn. ``journal`` is what was said before it."""

    conversation: Projection
    version: AgentVersion
    config: ConversationConfig
    started: Started
    journal: tuple[Event, ...] = ()
    opening: tuple[Event, ...] = ()
    """Events that this turn puts before what the person said: the beginning of a new conversation."""
    spoken: tuple[Spoken, ...] = ()
    failure: Failure | None = None
    files: dict[str, Shown] = field(default_factory=dict, repr=False)
    usage: SpeechUsage = field(default_factory=SpeechUsage)
    """What hearing and speaking took in this turn."""

    @property
    def labels(self) -> frozenset[str]:
        """Those of the agent's voices, which nobody reads."""
        return labels_of(self.version.conversation_config, self.config)

    @property
    def keeps_voice(self) -> bool:
        """Whether the agent's privacy settings let the sound of voice notes be kept."""
        return self.version.platform_settings.privacy.record_voice

    def open(self, *notes: Event) -> None:
        """Begin with the first message; it travels with the first answer, in one message. ``notes`` go before it."""
        self.opening = (self.started, *notes)
        if self.failure is not None:
            return
        try:
            check_supplied(self.config, {**self.started.variables, **self.started.sealed_variables})
            text = render(self.config.agent.first_message, self.started.variables, "first message").strip()
        except (MissingVariables, SecretVariable) as error:
            self.failure = Failure(error.code, error.message, ends=True)
            return
        if text:
            event = AgentMessage(id=new_id("msg"), text=text, origin="first_message")
            self.opening = (*self.opening, event)
            self.spoken = (Spoken(event.id, Text(text)),)

    def switch_to(self, language: str) -> None:
        """Go on in another language; a first message that the person has not got yet is in that one."""
        self.config = configured(self.version, self.conversation.initiation, language)
        greeting, variables = self.config.agent.first_message, self.started.variables
        is_ready = greeting.strip() and all(variables.get(name) is not None for name in placeholders(greeting))
        if not (self.spoken and is_ready):
            return
        (piece,) = self.spoken
        text = render(greeting, variables).strip()
        self.spoken = (replace(piece, say=Text(text)),)
        self.opening = tuple(
            event.model_copy(update={"text": text}) if isinstance(event, AgentMessage) else event
            for event in self.opening
        )

    @property
    def metered(self) -> tuple[Event, ...]:
        """What hearing and speaking took, as an event if they did something."""
        return () if self.usage.is_empty else (speech_used(self.usage),)
