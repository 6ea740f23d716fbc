"""What the control API answers. More keys may come than are named: Meta's of messages, and later versions' own."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

_REFUSALS: Final = {
    404: "Nothing has this id.",
    409: "That can't be done now; `detail` says why.",
    410: "It had to make room for newer ones.",
}


class Answer(BaseModel):
    """An answer of the control API."""

    model_config = ConfigDict(extra="allow")


class Refusal(BaseModel):
    """Why it was not done, and what to do."""

    detail: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These refusals, as a route documents them."""
    return {status: {"model": Refusal, "description": _REFUSALS[status]} for status in statuses}


class EscapedResponse(JSONResponse):
    """JSON in ASCII: a text of Meta's may hold half of a character, which no other form can."""

    def render(self, content: Any) -> bytes:
        """As Starlette's."""
        return json.dumps(content).encode()


def unchecked(answer: dict[str, Any]) -> Response:
    """An answer that may be long, and is asked for again and again: written as it is, a model only documents it."""
    return EscapedResponse(answer)


def binary(media_type: str, status_text: str) -> dict[int | str, dict[str, Any]]:
    """An answer that is no JSON, as a route documents it."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": status_text, "content": {media_type: {"schema": schema}}}}


# The business


class Business(Answer):
    """What the software of a business needs to know."""

    app_id: str
    app_secret: str = Field(description="Signs webhooks.")
    verify_token: str = Field(description="Of the handshake with the callback.")
    token: str = Field(description="Access token of the Graph API.")
    waba_id: str = Field(description="Id of the business account.")
    waba_name: str
    phone_number_id: str
    display_phone_number: str


class Handshake(Answer):
    """How the callback answered Meta's handshake."""

    ok: bool
    status: int | None = Field(None, description="HTTP status; null: no answer, or not asked.")
    answer: str | None = Field(None, description="Its beginning, or why there is none.")


class QualityScore(Answer):
    """What people think of a template."""

    score: Literal["UNKNOWN", "GREEN", "YELLOW", "RED"]
    date: int = Field(description="Since when, in Unix seconds.")


class TemplateShown(Answer):
    """A message template, as the Graph API shows it."""

    id: str
    name: str
    language: str
    category: str
    status: str
    parameter_format: str
    components: list[dict[str, Any]]
    quality_score: QualityScore
    rejected_reason: str


class Code(Answer):
    """A code of Embedded Signup."""

    code: str


class TokenShown(Answer):
    """What a token may now."""

    expires_at: float | None = Field(description="Unix seconds; null: never.")
    revoked: bool
    scopes: list[str]


# People and chats


class PersonShown(Answer):
    """Somebody with WhatsApp."""

    person_id: str
    name: str
    wa_id: str | None = Field(description="Digits of the phone number.")
    user_id: str = Field(description="Business-scoped id.")
    username: str | None
    parent_user_id: str | None
    hides_phone: bool
    online: bool
    reads: Literal["manual", "auto"]
    sends_receipts: bool
    has_whatsapp: bool
    blocks_business: bool
    answers_calls: Literal["manual", "auto", "reject", "ignore"]


class People(Answer):
    """Everybody."""

    people: list[PersonShown]


class Said(Answer):
    """The message that was sent."""

    message_id: str = Field(description="Meta's id (wamid).")


class WasRead(Answer):
    """How many messages had not been read before."""

    read: int


class WasPlayed(Answer):
    """Whether it was the first time, which alone is told."""

    first: bool


class WasCounted(Answer):
    """Whether it counts; not, for a report of what is no template's message of the last seven days."""

    counted: bool


class MessageShown(Answer):
    """A message on the phone; its content stands under the name of its type, as in Meta's messages."""

    id: str
    direction: Literal["in", "out"] = Field(description="The business's: `in` came from the person.")
    type: str
    rendered: str | None = Field(description="All that a template's message shows, a line for each part and button.")
    texts: dict[str, str] = Field(description="Of a template's message: of its `header`, `body` and `footer`.")
    buttons: list[dict[str, Any]] = Field(description="Of a template's message, with what they do.")
    timestamp: float
    status: str = Field(description="`sent`, `delivered`, `read`, `played` or `failed`.")
    context: dict[str, Any] | None = Field(description="What it quotes.")
    reactions: list[str]
    read_by_business: bool
    biz_opaque_callback_data: str | None
    error: dict[str, Any] | None
    asks_to_call: bool


class ChatShown(Answer):
    """The screen of a phone."""

    messages: list[MessageShown] = Field(description="In the person's order.")
    typing: bool = Field(description="Whether the business shows that it is typing.")
    window_open: bool = Field(description="Whether the business may write what it likes.")


# Calls


class ScriptShown(Answer):
    """How far a person came with their script."""

    state: Literal["running", "passed", "failed"]
    step: int = Field(description="From 0.")
    why: str = Field(description="What was expected in vain.")


class Moment(Answer):
    """Something in a call, with what there is to say of it."""

    ms: int = Field(description="Since the call began.")
    what: str


class CallShown(Answer):
    """A call, and what was heard in it."""

    call_id: str
    phone_number_id: str
    person_id: str
    direction: Literal["USER_INITIATED", "BUSINESS_INITIATED"]
    state: Literal["connecting", "ringing", "rejected", "active", "ended"]
    started_at: float | None
    ended_at: float | None
    ended_by: str | None
    error: int | None = Field(description="Meta's code, of a call that failed.")
    packets: int = Field(description="Of sound, from the business.")
    early_packets: int = Field(description="Those before the acceptance, which nobody heard.")
    lost_packets: int
    keys: str = Field(description="Keys that the business pressed.")
    browsers: int = Field(description="How many have played the person so far; the last one does.")
    script: ScriptShown | None
    heard_seconds: float
    voiced: list[list[float]] = Field(description="Stretches of voice: beginning and end, in seconds.")
    timeline: list[Moment]


class Calls(Answer):
    """Calls that run, and those that are over, as many as are kept."""

    calls: list[CallShown]


class Duration(Answer):
    """How long it lasts."""

    seconds: float


class SessionDescription(Answer):
    """The answer to the offer of a browser."""

    sdp: str
    browser: int = Field(description="Its number, as in `browsers` of the call.")


# Evidence


class AppShown(Answer):
    """A Meta app."""

    id: str
    callback_url: str | None


class AccountShown(Answer):
    """A business account."""

    id: str
    name: str
    subscribed: list[str] = Field(description="Ids of apps.")


class NumberShown(Answer):
    """A number of a business."""

    id: str
    display: str
    account_id: str


class State(Answer):
    """What exists."""

    now: float = Field(description="The emulator's clock, in Unix seconds.")
    apps: list[AppShown]
    accounts: list[AccountShown]
    numbers: list[NumberShown]
    people: list[PersonShown]
    pending_webhooks: int = Field(description="Not taken yet, and tried again.")
    last_event: int


class Event(Answer):
    """An event of the log, with what there is to say of its kind."""

    seq: int
    at: float
    kind: str


class Events(Answer):
    """A part of the log."""

    events: list[Event]
    last: int = Field(description="Where to go on: the next `after`.")


class DeliveryShown(Answer):
    """A message that reached a person's phone."""

    person_id: str
    phone_number_id: str
    message_id: str
    type: str
    biz_opaque_callback_data: str | None
    at: float


class Deliveries(Answer):
    """What reached people."""

    deliveries: list[DeliveryShown]
    counts: dict[str, int] = Field(description="How often, by the business's `biz_opaque_callback_data`.")
    forgotten: int = Field(description="How many older ones there were.")


class GraphCallShown(Answer):
    """A call of the Graph API."""

    method: str
    path: str
    sends: str | None = Field(description="Type of the message, `read` or `typing`.")
    status: int | None = Field(description="Of the answer; null: there was none.")
    error: int | None = Field(description="Meta's code.")
    faults: list[str] = Field(description="Those that acted on it.")


class GraphCalls(Answer):
    """Calls of the Graph API, in their order."""

    calls: list[GraphCallShown]
    forgotten: int = Field(description="How many older ones there were.")


class Attempt(Answer):
    """One try to deliver a webhook."""

    status: int | None = Field(description="Of the callback's answer; null: there was none.")
    error: str | None
    seconds: float


class WebhookShown(Answer):
    """A webhook for one callback."""

    id: int
    app_id: str
    url: str
    field: str = Field(description="Webhook fields that it tells of.")
    attempts: int
    delivered: bool
    results: list[Attempt]
    body: Any


class WebhooksShown(Answer):
    """Webhooks, in their order."""

    deliveries: list[WebhookShown]
    pending: int = Field(description="Not taken yet, and tried again.")
    forgotten: int = Field(description="How many older ones there were.")


# Faults and the clock


class FaultShown(Answer):
    """A fault that is set, with its own parameters."""

    id: int
    name: str
    times: int | None = Field(description="How often it acts; null: for ever.")
    probability: float
    seed: int
    match: dict[str, str]
    acted: int = Field(description="How often it has acted.")


class FaultsSet(Answer):
    """The faults that are set."""

    faults: list[FaultShown]


class FaultsKnown(FaultsSet):
    """The faults that are set, and those that can be."""

    names: dict[str, str] = Field(description="What each fault does.")


class Now(Answer):
    """The emulator's clock."""

    now: float = Field(description="Unix seconds.")
