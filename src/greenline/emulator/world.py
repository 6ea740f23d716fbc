"""What exists: portfolios, apps, WABAs, numbers, tokens, people, chats, and how they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from greenline.emulator import ids, phone
from greenline.emulator.chats import Chat, ChatMessage
from greenline.emulator.people import Person

SCOPES: Final = ("business_management", "whatsapp_business_management", "whatsapp_business_messaging")

FIELDS: Final = frozenset(
    """messages calls account_update account_alerts account_review_update account_settings_update
    business_capability_update security payment_configuration_update phone_number_name_update
    phone_number_quality_update message_template_status_update message_template_quality_update
    message_template_components_update template_category_update template_correct_category_detection user_preferences
    user_id_update business_username_updates messaging_handovers standby history smb_app_state_sync
    smb_message_echoes group_lifecycle_update group_participants_update group_settings_update group_status_update
    flows automatic_events partner_solutions""".split()
)
"""Webhook fields of a WhatsApp Business Account."""

OVERRIDABLE: Final = frozenset(
    "messages calls messaging_handovers history smb_app_state_sync smb_message_echoes "
    "group_lifecycle_update group_participants_update group_settings_update group_status_update".split()
)
"""Fields that an override URL carries; the others always go to the app's URL."""


@dataclass(slots=True)
class Portfolio:
    """A business portfolio: the scope of user ids and of the messaging limit."""

    id: str
    name: str
    messaging_limit: str = "TIER_2K"
    verified: bool = True


@dataclass(slots=True)
class App:
    """A Meta app with its one callback."""

    id: str
    name: str
    secret: str = field(repr=False)
    callback_url: str | None = None
    verify_token: str = field(default="", repr=False)
    fields: frozenset[str] = FIELDS
    require_proof: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """A callback that takes the place of the app's."""

    url: str
    verify_token: str = field(repr=False)


@dataclass(slots=True)
class Waba:
    """A WhatsApp Business Account. ``subscribed`` maps app ids to the override of their callback."""

    id: str
    portfolio_id: str
    name: str
    subscribed: dict[str, Override | None] = field(default_factory=dict)
    currency: str = "USD"
    timezone_id: str = "1"


@dataclass(slots=True)
class Number:
    """A business phone number. ``digits`` are international."""

    id: str
    waba_id: str
    digits: str
    verified_name: str
    registered: bool = True
    pin: str | None = field(default=None, repr=False)
    verification: str = "VERIFIED"
    verification_code: str | None = field(default=None, repr=False)
    quality: str = "GREEN"
    name_status: str = "APPROVED"
    account_mode: str = "LIVE"
    allowed_recipients: frozenset[str] | None = None
    onboarded_at: float = 0.0
    profile: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    blocked: dict[str, float] = field(default_factory=dict)
    registrations: list[float] = field(default_factory=list)
    wrong_pins: list[float] = field(default_factory=list)
    coexistence: bool = False

    @property
    def display(self) -> str:
        """As the Graph API writes it: ``+1 555-010-0000``; webhooks write the digits."""
        return phone.display(self.digits)


@dataclass(slots=True)
class Token:
    """An access token. ``waba_ids`` is what it was granted; ``expires_at`` 0 means never."""

    text: str = field(repr=False)
    app_id: str
    kind: str = "SYSTEM_USER"
    scopes: tuple[str, ...] = SCOPES
    waba_ids: frozenset[str] = frozenset()
    issued_at: float = 0.0
    expires_at: float = 0.0
    revoked: bool = False


@dataclass(slots=True)
class SignupCode:
    """What Embedded Signup hands to the page: 30 seconds, once."""

    app_id: str
    waba_ids: frozenset[str]
    expires_at: float
    token_seconds: float = 0.0
    scopes: tuple[str, ...] = SCOPES


class World:
    """Everything in memory, with the indexes by which it is found."""

    def __init__(self) -> None:
        self.portfolios: dict[str, Portfolio] = {}
        self.apps: dict[str, App] = {}
        self.wabas: dict[str, Waba] = {}
        self.numbers: dict[str, Number] = {}
        self.tokens: dict[str, Token] = {}
        self.codes: dict[str, SignupCode] = {}
        self.people: dict[str, Person] = {}
        self.chats: dict[tuple[str, str], Chat] = {}
        self.messages: dict[str, tuple[Chat, ChatMessage]] = {}
        self._by_wa_id: dict[str, str] = {}
        self._user_ids: dict[tuple[str, str], str] = {}
        self._by_user_id: dict[tuple[str, str], str] = {}

    # People

    def add_person(self, person: Person) -> None:
        """Add somebody whose number nobody has. Raises ``ValueError`` if somebody does."""
        if person.wa_id is not None and person.wa_id in self._by_wa_id:
            raise ValueError(f"somebody has the number {person.wa_id} already")
        self.people[person.id] = person
        if person.wa_id is not None:
            self._by_wa_id[person.wa_id] = person.id
        for portfolio in self.portfolios.values():
            self._name_person(portfolio.id, person)

    def change_phone(self, person: Person, digits: str) -> None:
        """A new number, with which come new user ids. Raises ``ValueError`` if somebody has it."""
        new = phone.wa_id(digits)
        if self._by_wa_id.get(new, person.id) != person.id:
            raise ValueError(f"somebody has the number {new} already")
        if person.wa_id is not None:
            self._by_wa_id.pop(person.wa_id, None)
        person.phone = digits
        self._by_wa_id[new] = person.id
        for portfolio in self.portfolios.values():
            old = self._user_ids.pop((portfolio.id, person.id), None)
            self._by_user_id.pop((portfolio.id, old or ""), None)
            self._name_person(portfolio.id, person)

    def add_portfolio(self, portfolio: Portfolio) -> None:
        """Add a portfolio: everybody gets an id in its scope."""
        self.portfolios[portfolio.id] = portfolio
        for person in self.people.values():
            self._name_person(portfolio.id, person)

    def user_id(self, number: Number, person: Person) -> str:
        """The person's id in the scope of the number's portfolio."""
        return self._user_ids[self.wabas[number.waba_id].portfolio_id, person.id]

    def portfolio_user_id(self, portfolio_id: str, person: Person) -> str:
        """The person's id in the scope of a portfolio."""
        return self._user_ids[portfolio_id, person.id]

    def person_by_wa_id(self, digits: str) -> Person | None:
        """Whoever has the number, in whichever of its forms it was written."""
        found = self._by_wa_id.get(phone.wa_id(digits))
        return self.people[found] if found else None

    def person_by_user_id(self, number: Number, user_id: str) -> Person | None:
        """Whoever has the id in the scope of the number's portfolio."""
        found = self._by_user_id.get((self.wabas[number.waba_id].portfolio_id, user_id))
        return self.people[found] if found else None

    def _name_person(self, portfolio_id: str, person: Person) -> None:
        user_id = ids.user_id(phone.country_of(person.phone), portfolio_id, person.id, person.phone)
        self._user_ids[portfolio_id, person.id] = user_id
        self._by_user_id[portfolio_id, user_id] = person.id

    # Chats

    def chat(self, person: Person, number: Number) -> Chat:
        """The chat of a person with a number, empty at first."""
        key = (person.id, number.id)
        if key not in self.chats:
            self.chats[key] = Chat(person.id, number.id)
        return self.chats[key]

    def keep(self, chat: Chat, message: ChatMessage) -> None:
        """Make a message findable by its id."""
        chat.messages[message.id] = message
        self.messages[message.id] = (chat, message)

    # Numbers

    def numbers_of(self, waba_id: str) -> list[Number]:
        """The numbers of a WABA, oldest first."""
        return [number for number in self.numbers.values() if number.waba_id == waba_id]
