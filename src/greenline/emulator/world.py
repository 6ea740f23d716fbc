"""What exists: apps, business accounts, numbers, tokens, people, and the chats between them. All in memory."""

from __future__ import annotations

import base64
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from greenline.emulator.errors import MetaError

WINDOW: Final = 24 * 3600.0  # Meta: Customer service windows


def digits(length: int = 15) -> str:
    """An id as Meta writes them."""
    return str(secrets.randbelow(9) + 1) + "".join(str(secrets.randbelow(10)) for _ in range(length - 1))


def new_wamid() -> str:
    """A message id."""
    return "wamid." + base64.b64encode(b"HBgL" + secrets.token_bytes(24)).decode().rstrip("=")


@dataclass
class App:
    """A Meta app: signs webhooks and has one callback."""

    id: str
    secret: str
    verify_token: str
    callback_url: str | None = None
    fields: set[str] = field(default_factory=set)


@dataclass
class Account:
    """A WhatsApp Business Account."""

    id: str
    name: str
    subscribed: dict[str, str | None] = field(default_factory=dict)
    """App id: override callback, if any."""
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    management_calls: dict[str, deque[float]] = field(default_factory=dict)
    """Moments by app id."""
    template_creations: deque[float] = field(default_factory=deque)
    reserved: dict[tuple[str, str], float] = field(default_factory=dict)
    """Name and language of deleted templates: until when."""
    namespace: str = field(default_factory=lambda: secrets.token_hex(16))
    """Of its templates, which no call needs any more."""


@dataclass
class Number:
    """A phone number of a business."""

    id: str
    account_id: str
    display: str
    verified_name: str
    registered: bool = True
    pin: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    blocked: dict[str, None] = field(default_factory=dict)
    """Ids of people, in the order in which they were blocked."""
    test_recipients: set[str] | None = None
    """Phone digits to which a test number sends alone; None for a number that is no test number."""
    registrations: deque[float] = field(default_factory=deque)
    service_messages: tuple[str, int] = ("", 0)
    """A month, and how many service messages went out in it."""
    recent: list[float] = field(default_factory=list)
    """Moments of the messages of the last second, in and out."""
    throughput: Literal["STANDARD", "UPGRADING", "HIGH"] = "STANDARD"
    opened: dict[str, float] = field(default_factory=dict)
    """Ids of the people to whom it wrote outside of the window, and when last."""
    coexists: bool = False
    """Whether the Business app uses it, too."""
    extra: dict[str, Any] = field(default_factory=dict)

    def count_message(self, now: float) -> None:
        """Remember a message, in or out, for as long as it counts."""
        self.recent = [moment for moment in self.recent if moment > now - 1.0]
        self.recent.append(now)

    @property
    def wa_id(self) -> str:
        """The display number in digits."""
        return "".join(c for c in self.display if c.isdigit())


@dataclass
class Token:
    """An access token."""

    value: str
    app_id: str
    account_ids: set[str]
    expires_at: float | None = None
    withdrawn_ids: set[str] = field(default_factory=set)
    """Business accounts that were taken from it."""
    revoked: bool = False
    scopes: tuple[str, ...] = ("business_management", "whatsapp_business_management", "whatsapp_business_messaging")

    def cover(self, account_ids: set[str]) -> None:
        """Cover these business accounts from now on; those left out count as withdrawn."""
        self.withdrawn_ids = (self.withdrawn_ids | self.account_ids) - account_ids
        self.account_ids = account_ids


@dataclass
class Person:
    """Somebody with WhatsApp. ``phone`` None: known by the business-scoped id only."""

    id: str
    name: str
    phone: str | None
    user_id: str
    username: str | None = None
    parent_user_id: str | None = None
    """The id that businesses of an enrolled portfolio share."""
    hides_phone: bool = False
    online: bool = True
    reads: str = "manual"
    sends_receipts: bool = True
    has_whatsapp: bool = True
    blocks_business: bool = False
    answers_calls: str = "manual"
    """``manual`` (by the control API), ``auto``, ``reject`` or ``ignore``."""

    def contact(self, *, hidden: bool, with_username: bool = True) -> dict[str, Any]:
        """As ``contacts[]`` of a webhook names a person; ``hidden``: without the phone number."""
        profile = {"name": self.name}
        if self.username and with_username:
            profile["username"] = self.username
        contact: dict[str, Any] = {"profile": profile, "user_id": self.user_id}
        if self.parent_user_id:
            contact["parent_user_id"] = self.parent_user_id
        if self.phone and not hidden:
            contact["wa_id"] = self.phone
        return contact

    def shown(self) -> dict[str, Any]:
        """As the control API shows a person."""
        return {
            "person_id": self.id,
            "name": self.name,
            "wa_id": self.phone,
            "user_id": self.user_id,
            "username": self.username,
            "parent_user_id": self.parent_user_id,
            "hides_phone": self.hides_phone,
            "online": self.online,
            "reads": self.reads,
            "sends_receipts": self.sends_receipts,
            "has_whatsapp": self.has_whatsapp,
            "blocks_business": self.blocks_business,
            "answers_calls": self.answers_calls,
        }


@dataclass
class Message:
    """A message in a chat. ``direction`` is the business's: ``in`` came from the person."""

    id: str
    direction: str
    type: str
    content: dict[str, Any]
    at: float
    status: str = "accepted"
    context: dict[str, Any] | None = None
    rendered: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    """Of a template's message (`greenline.emulator.template_fill.Filled`)."""
    callback_data: str | None = None
    reactions: dict[str, str] = field(default_factory=dict)
    read_by_business: bool = False
    error: dict[str, Any] | None = None
    category: str = "service"
    template_id: str | None = None
    buttons: list[dict[str, Any]] = field(default_factory=list)
    """Of a template's message (`greenline.emulator.taps.buttons_of`)."""
    flaw: MetaError | None = None
    """Why it will fail, although Meta took it."""
    price: dict[str, Any] = field(default_factory=dict)
    left_at: float = 0.0
    """When it left Meta."""
    backwards: float | None = None
    """Seconds between its statuses, if they are told in the wrong order (the fault `status_order`)."""
    asks_to_call: bool = False
    """Whether it shows the buttons that permit calls: a template may ask without saying so in the message."""

    def shown(self) -> dict[str, Any]:
        """As the phone shows it."""
        return {
            **self.content,
            "id": self.id,
            "direction": self.direction,
            "type": self.type,
            "rendered": self.rendered,
            "texts": self.texts,
            "buttons": self.buttons,
            "timestamp": self.at,
            "status": self.status,
            "context": self.context,
            "reactions": list(self.reactions.values()),
            "read_by_business": self.read_by_business,
            "biz_opaque_callback_data": self.callback_data,
            "error": self.error,
            "asks_to_call": self.asks_to_call,
        }


@dataclass
class Chat:
    """A person and a number.

    What the business sends is first ``accepted``, then ``outgoing`` (it left Meta, and waits for the phone), then on
    the ``screen``.
    """

    person: Person
    number: Number
    screen: list[Message] = field(default_factory=list)
    accepted: list[Message] = field(default_factory=list)
    outgoing: list[Message] = field(default_factory=list)
    window_until: float = 0.0
    pair_clock: float = 0.0
    typing_until: float = 0.0
    stopped_marketing: bool = False
    referred_at: float | None = None
    """When the person came by an advertisement that the business has not answered yet."""
    free_until: float = 0.0
    """End of the free-entry-point window."""
    leaving: bool = False
    """Whether something brings what is accepted on its way."""
    arriving: bool = False
    """Whether something brings what is outgoing to the phone."""

    def open_window(self, now: float) -> None:
        """The person wrote or called: for a day the business may write what it likes."""
        self.window_until = now + WINDOW

    def find(self, wamid: str) -> Message | None:
        """A message of this chat."""
        return next((m for m in reversed([*self.screen, *self.outgoing, *self.accepted]) if m.id == wamid), None)


@dataclass
class World:
    """Everything, by id."""

    apps: dict[str, App] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    codes: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Embedded Signup codes: the token they give, and until when."""
    people: dict[str, Person] = field(default_factory=dict)
    chats: dict[tuple[str, str], Chat] = field(default_factory=dict)
    opened: dict[str, float] = field(default_factory=dict)
    """Ids of the people to whom the portfolio wrote outside of the window, and when last."""

    def chat(self, person: Person, number: Number) -> Chat:
        """The chat of a person with a number, made when it is first asked for."""
        return self.chats.setdefault((person.id, number.id), Chat(person, number))

    def is_unwanted(self) -> bool:
        """Whether the quality of the portfolio is low. Meta does not publish how it rates it: here templates tell."""
        accounts = self.accounts.values()
        return any(t["quality_score"]["score"] == "RED" for account in accounts for t in account.templates.values())

    def find_person(self, recipient: str) -> Person | None:
        """By phone digits in any of their spellings, or by business-scoped id."""
        spellings = set(aliases(recipient))
        for person in self.people.values():
            if recipient in (person.user_id, person.parent_user_id) or (
                person.phone and spellings & set(aliases(person.phone))
            ):
                return person
        return None

    def find_message(self, wamid: str) -> tuple[Chat, Message] | None:
        """A message of any chat."""
        for chat in self.chats.values():
            message = chat.find(wamid)
            if message is not None:
                return chat, message
        return None


def aliases(phone: str) -> tuple[str, ...]:
    """The spellings of a number that reach the same person: Brazil's ninth digit, Mexico's 1, Argentina's 9."""
    if phone.startswith("55") and len(phone) == 13 and phone[4] == "9":
        return phone, phone[:4] + phone[5:]
    if phone.startswith("55") and len(phone) == 12:
        return phone, f"{phone[:4]}9{phone[4:]}"
    if phone.startswith("521") and len(phone) == 13:
        return phone, f"52{phone[3:]}"
    if phone.startswith("52") and len(phone) == 12:
        return phone, f"521{phone[2:]}"
    if phone.startswith("549") and len(phone) == 13:
        return phone, f"54{phone[3:]}"
    if phone.startswith("54") and len(phone) == 12:
        return phone, f"549{phone[2:]}"
    return (phone,)
