"""The events of a conversation's journal.

A conversation is what its events say, in the order of ``seq``; nothing else is kept. Transcript, tool calls,
timings, usage, deliveries and status are read from here. An event never changes; fields may be added with a
default, so that old journals stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

Medium: TypeAlias = Literal["text", "audio", "image", "file", "dtmf"]
"""``source_medium`` of the reference's transcript."""


Origin: TypeAlias = Literal[
    "model", "first_message", "template", "failure", "closing", "notice", "human", "guardrail"
]
"""Where the agent's words come from."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Remembered(_Event):
    """A message of an earlier conversation of the thread, as the new one was told of it."""

    role: Literal["user", "agent"]
    text: str
    at: datetime


class Started(_Event):
    """The conversation began: with which agent, for whom, and what it knew at its start."""

    kind: Literal["started"] = "started"
    agent_id: str
    branch_id: str
    version_id: str
    environment: str = "production"
    source: str
    direction: str | None = None
    text_only: bool = True
    queued_seconds: float | None = None
    """How long the person waited until the agent had room."""
    user_id: str | None = None
    variables: dict[str, Any] = {}
    sealed_variables: dict[str, str] = {}
    """The secret dynamic variables, as `greenline.agents.lookup.seal_secrets` seals them."""
    override: dict[str, Any] = {}
    summary: str | None = None
    """Summary of the thread so far."""
    remembered: tuple[Remembered, ...] = ()
    knowledge: tuple[str, ...] = ()
    """What the client that brought the agent has it know besides its prompt."""


class UserMessage(_Event):
    """Something the person said. ``text`` is what the model reads."""

    kind: Literal["user_message"] = "user_message"
    id: str
    text: str
    medium: Medium = "text"
    type: str = "text"
    """Meta's message type, where there is one."""
    wamid: str | None = None
    sent_at: datetime | None = None
    received_at: datetime | None = None
    file_ids: tuple[str, ...] = ()
    label: str = ""
    """What the model is told that ``text`` is, such as ``[Voice message]``, where it is not what was typed."""
    rich_content_id: str | None = None
    """The row of buttons of which they tapped one, on a client that draws such."""
    recogniser: str = ""
    """Who heard it, such as ``deepgram:nova-3``, where it was spoken."""
    began: datetime | None = None
    """When they began to say it, in a conversation by voice: it is text when they have finished."""
    is_sign: bool = False
    """Only a sign of listening ("mhm") while the agent spoke: it is no turn."""
    unwritten: str = Field("", exclude=True, repr=False)
    """What the model reads in place of ``text``, such as redacted keys: it is never written down."""


class VoicePart(_Event):
    """What one voice says of a message; ``label`` is null for the agent's own."""

    text: str
    label: str | None = None


class Attempted(_Event):
    """A model of the cascade that did not answer."""

    model: str
    error: str
    seconds: float = 0.0


class AgentMessage(_Event):
    """Something the agent said, or asked a tool for while saying nothing (``text`` empty).

    ``origin``: ``model``; ``first_message``; ``template`` (a business-started message); ``failure`` (no model
    answered); ``closing`` (maximum duration or inactivity); ``notice`` (a polite word of the channel); ``human``;
    ``guardrail`` (in the place of an answer that a guardrail refused, where it ends the conversation).
    ``outbox_ids`` are the messages that carried it to the person.
    """

    kind: Literal["agent_message"] = "agent_message"
    id: str
    text: str
    origin: Origin = "model"
    model: str | None = None
    requested_model: str | None = None
    usage: dict[str, int] = {}
    """Tokens: ``input``, ``output``, ``cache_read``, ``cache_write``."""
    attempts: tuple[Attempted, ...] = ()
    seconds: float | None = None
    seconds_to_first_token: float | None = None
    outbox_ids: tuple[str, ...] = ()
    fallback_ids: tuple[str, ...] = ()
    """Messages that say it if Meta refuses the one that carries it; they may never have been sent."""
    template: dict[str, Any] | None = None
    """``{name, language, components}`` as sent, for a template."""
    medium: Medium = "text"
    """``audio`` when it was spoken."""
    event_id: int | None = None
    """``event_id`` of its turn on a live conversation's socket."""
    file_ids: tuple[str, ...] = ()
    """The voice note that says it."""
    parts: tuple[VoicePart, ...] = ()
    """``text`` by the voices that the model wrote it for, where others than the agent's own are among them."""


class ToolCalled(_Event):
    """The model asked for a tool; belongs to the agent message ``message_id``."""

    kind: Literal["tool_called"] = "tool_called"
    message_id: str
    request_id: str
    name: str
    type: str = "system"
    tool_id: str = ""
    params: dict[str, Any] = {}
    details: dict[str, Any] = {}
    """Which service it is of, as the transcript tells (reference: ``tool_details``)."""


class AssignedVariable(_Event):
    """A dynamic variable that a tool's answer set; ``is_hidden``: no model and no transcript may see the value."""

    name: str
    value: Any = Field(repr=False)
    is_hidden: bool = False


class ToolReturned(_Event):
    """What a tool answered."""

    kind: Literal["tool_returned"] = "tool_returned"
    message_id: str
    request_id: str
    name: str
    type: str = "system"
    tool_id: str = ""
    result: str = ""
    is_error: bool = False
    error_type: str = ""
    is_blocked: bool = False
    """It was not run, since it may not be."""
    raw_error: str = ""
    """What went wrong, where ``result`` does not say it."""
    seconds: float = 0.0
    said: str = ""
    """What the call said to the person (buttons, a list, a farewell), as the transcript shows it."""
    language: str = ""
    """The language to which it switched the conversation."""
    assigned: tuple[AssignedVariable, ...] = ()
    outbox_ids: tuple[str, ...] = ()


class Delivery(_Event):
    """A message to the person changed its state (accepted, sent, delivered, read, played, failed)."""

    kind: Literal["delivery"] = "delivery"
    outbox_id: str
    state: str
    wamid: str | None = None
    error: dict[str, Any] | None = None
    """``{code, title, details}`` of Meta, or of the sender where it refused to send."""
    pricing: dict[str, Any] | None = None
    at: datetime | None = None
    """When it happened by Meta's clock; the entry's own time is when the server learned of it."""


class TurnFailed(_Event):
    """A turn did not come to an answer; the person got the failure sentence."""

    kind: Literal["turn_failed"] = "turn_failed"
    code: str
    reason: str
    attempts: tuple[Attempted, ...] = ()


class GuardrailHit(_Event):
    """A guardrail that was triggered; ``type`` is one of the reference's.

    A model that judges gives a ``rationale``, a classifier a ``score`` and its ``threshold``.
    """

    type: str
    name: str | None = None
    rationale: str = ""
    score: float | None = None
    threshold: float | None = None


class Unjudged(_Event):
    """A guardrail of which nobody knows whether it would have been triggered, since its judge failed."""

    type: str
    name: str | None = None
    reason: str


class GuardrailsChecked(_Event):
    """What the guardrails made of one reply of the model; ``message_id`` is what the person got.

    Where the reply was refused that is another message: a later attempt, or the words that took its place. The reply
    itself is ``refused`` then; nobody but the reader of the journal sees it. ``usage`` counts tokens by model, those
    of the judges and of a refused reply.
    """

    kind: Literal["guardrails_checked"] = "guardrails_checked"
    message_id: str
    mode: Literal["streaming", "blocking"] = "blocking"
    """``blocking`` when the reply waited for the verdict."""
    hits: tuple[GuardrailHit, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    refused: str = ""
    usage: dict[str, dict[str, int]] = {}


class Resumed(_Event):
    """The person answered a message or a call of the business: the conversation's clock runs from here.

    ``variables`` are those of the start that have changed since, and the rest is what was known of the thread now.
    """

    kind: Literal["resumed"] = "resumed"
    variables: dict[str, Any] = {}
    summary: str | None = None
    remembered: tuple[Remembered, ...] = ()


class Noted(_Event):
    """Something happened that is neither speech nor delivery: a changed number, an edit, a removed message.

    ``usage`` counts the tokens of ``model``, where one was asked.
    """

    kind: Literal["noted"] = "noted"
    what: str
    detail: dict[str, Any] = {}
    model: str | None = None
    usage: dict[str, int] = {}


class CallPermission(_Event):
    """What became of the question whether the business may call (reference: ``call_permission_request``)."""

    kind: Literal["call_permission"] = "call_permission"
    state: Literal["sent", "accepted", "declined", "blocked"]
    permanent: bool | None = None
    by_users_call: bool | None = None
    """Meta granted it since the person called."""


class CallEnded(_Event):
    """A call on WhatsApp is over (reference: ``call_result``); the conversation's own end is another event."""

    kind: Literal["call_ended"] = "call_ended"
    result: Literal["answered", "voicemail", "busy", "no_answer", "failed"]
    reason: str = ""
    code: int | None = None
    """Meta's."""
    talk_seconds: int | None = None


class CallCharged(_Event):
    """What Meta charges for a call of the business; the last one counts.

    ``seconds`` is Meta's measure of the call, None until it told it; ``price`` is in US dollars, None when it is not
    known.
    """

    kind: Literal["call_charged"] = "call_charged"
    seconds: int | None = None
    price: float | None = None


class AgentInterrupted(_Event):
    """The person cut the agent short: of the message ``message_id`` they heard no more than ``heard``.

    Of what a tool said, ``message_id`` is the ``request_id`` of its call.
    """

    kind: Literal["agent_interrupted"] = "agent_interrupted"
    message_id: str
    heard: str


class UserSilent(_Event):
    """The person said nothing for the agent's turn timeout: the agent speaks again (``user_turn_timeout``)."""

    kind: Literal["user_silent"] = "user_silent"
    asked_for_it: bool = False
    """The agent had left its turn out for so long, since they wanted a moment (``skip_turn_wait_elapsed``)."""


WAITS: Final = ("end_of_turn", "recognition", "model", "tools", "synthesis", "hold", "queue")
"""What a person may wait for, in this order; ``hold`` is for an answer that was ready before the turn was over."""


class TurnTimed(_Event):
    """Where the silence before a spoken answer came from: milliseconds by the names of `WAITS`.

    It runs from the last voiced sound of the person to the first sound of the agent; the parts add up to it.
    ``began`` is when it began.
    """

    kind: Literal["turn_timed"] = "turn_timed"
    message_id: str
    waits: dict[str, float]
    began: datetime | None = None

    @field_validator("waits")
    @classmethod
    def _in_order(cls, waits: dict[str, float]) -> dict[str, float]:
        return waits_in_order(waits)


def waits_in_order(waits: Mapping[str, float]) -> dict[str, float]:
    """The waits as they follow each other: the database keeps no order. Those of no known name come last."""
    places = {name: place for place, name in enumerate(WAITS)}
    return dict(sorted(waits.items(), key=lambda wait: places.get(wait[0], len(places))))


class PartsBegan(_Event):
    """When the parts of a message of several voices began to come out: as many as did, in their order."""

    kind: Literal["parts_began"] = "parts_began"
    message_id: str
    at: tuple[datetime, ...]


class Voiced(_Event):
    """By which voice and model the message ``message_id`` was spoken; where several did, who began.

    Words of a tool are named by its ``request_id``.
    """

    kind: Literal["voiced"] = "voiced"
    message_id: str
    voice_id: str
    synthesiser: str
    """Such as ``elevenlabs:eleven_flash_v2``."""
    began: datetime | None = None
    """When it began to be heard, in a conversation by voice: a model writes on while its first words are spoken."""


class SpeechUsed(_Event):
    """What was heard and spoken, by provider and model: in a whole call, or in a turn with voice notes.

    ``price`` is in US dollars as of then; None when that of a provider is not known.
    """

    kind: Literal["speech_used"] = "speech_used"
    heard_seconds: dict[str, float] = {}
    transcribed_seconds: dict[str, float] = {}
    spoken_seconds: dict[str, float] = {}
    spoken_characters: dict[str, int] = {}
    price: float | None = None


class ContextualUpdate(_Event):
    """Background that a client or an operator gave the agent. Of one ``context_id`` only the newest counts."""

    kind: Literal["contextual_update"] = "contextual_update"
    text: str
    context_id: str | None = None


class HumanTakeover(_Event):
    """A human has taken over (``active``) and the agent is silent, or has handed back."""

    kind: Literal["human_takeover"] = "human_takeover"
    active: bool


class Feedback(_Event):
    """The rating that a client or an operator gave: a thumb, or one to five with a comment; none takes it back.

    That of a live conversation's client is for the turn ``event_id``, every other one for the whole conversation.
    """

    kind: Literal["feedback"] = "feedback"
    score: Literal["like", "dislike"] | None = None
    event_id: int | None = None
    rating: int | None = None
    comment: str | None = None


class Erased(_Event):
    """A part of the conversation was erased at the end of its retention time: the events that said it are gone."""

    kind: Literal["erased"] = "erased"
    what: Literal["transcript", "audio"]


class Ended(_Event):
    """The conversation is over. ``error`` is ``{code, reason}`` for a failed one."""

    kind: Literal["ended"] = "ended"
    reason: str
    status: Literal["done", "failed"] = "done"
    error: dict[str, Any] | None = None


class Summarised(_Event):
    """What was said, in short, written after the end."""

    kind: Literal["summarised"] = "summarised"
    title: str
    summary: str
    model: str


Event: TypeAlias = (
    Started
    | UserMessage
    | AgentMessage
    | ToolCalled
    | ToolReturned
    | Delivery
    | TurnFailed
    | GuardrailsChecked
    | Resumed
    | Noted
    | CallPermission
    | CallEnded
    | CallCharged
    | AgentInterrupted
    | UserSilent
    | TurnTimed
    | PartsBegan
    | Voiced
    | SpeechUsed
    | ContextualUpdate
    | HumanTakeover
    | Feedback
    | Ended
    | Erased
    | Summarised
)

_adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


class Entry(BaseModel):
    """An event in its place."""

    model_config = ConfigDict(frozen=True)

    seq: int
    at: datetime
    event: Event


def dump_event(event: Event) -> dict[str, Any]:
    """The ``data`` column of an event."""
    return event.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)


def load_event(kind: str, data: dict[str, Any]) -> Event:
    """The event of a row. Raises pydantic's ``ValidationError`` on a kind that this version doesn't know."""
    return _adapter.validate_python({**data, "kind": kind})
