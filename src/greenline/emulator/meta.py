"""Meta between business and person: what either does with messages. Their way to the phone is the carrier's."""

from __future__ import annotations

from typing import Any, Final

from greenline.emulator import taps, template_fill
from greenline.emulator.acceptance import MESSAGE_LIFE, Acceptance, is_user_id
from greenline.emulator.calls import calling
from greenline.emulator.calls.desk import Desk
from greenline.emulator.calls.recording import Recordings
from greenline.emulator.calls.telling import Teller
from greenline.emulator.carrier import Carrier
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.evidence import Evidence
from greenline.emulator.fault_kinds import OmitPhone, TemplateHeld, UnknownType
from greenline.emulator.faults import Faults
from greenline.emulator.identities import Identities
from greenline.emulator.journal import Journal
from greenline.emulator.links import Links
from greenline.emulator.media import MediaStore
from greenline.emulator.portfolio import Portfolio
from greenline.emulator.reviews import Reviews
from greenline.emulator.throughput import Throughput
from greenline.emulator.uploads import Uploads
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Chat, Message, Number, Person, World, new_wamid

TYPING_SECONDS: Final = 25.0  # Meta: Typing indicators


class Meta:
    """The platform between business and people."""

    def __init__(self) -> None:
        self.world = World()
        self.config = Config()
        self.clock = MovableClock()
        self.faults = Faults()
        self.journal = Journal(self.clock)
        self.media = MediaStore(self.config)
        self.uploads = Uploads(self.config)
        self.webhooks = Webhooks(self.world, self.config, self.clock, self.faults, self.journal)
        self._throughput = Throughput(self.world, self.config, self.clock, self.webhooks, self.journal)
        self._portfolio = Portfolio(
            self.world, self.config, self.clock, self.webhooks, self.journal, self._throughput
        )
        self._acceptance = Acceptance(
            self.world, self.config, self.clock, self.media, self._portfolio, self._throughput
        )
        self.identities = Identities(self.world, self.clock, self.webhooks, self._hides)
        self._links = Links(self.config, self.clock)
        self.reviews = Reviews(self.world, self.config, self.clock, self.webhooks, self.journal)
        teller = Teller(self.webhooks, self.faults, self.clock, self._hides)
        recordings = Recordings(self.media, self.config, self.clock, teller)
        self.desk = Desk(
            self.world,
            self.config,
            self.clock,
            self.faults,
            self.journal,
            teller,
            recordings,
            self._acceptance.recipient,
            self._tell_of_message,
        )
        self.carrier = Carrier(
            self.world,
            self.config,
            self.clock,
            self.faults,
            self.journal,
            self.webhooks,
            self._links,
            self.desk,
            self.reviews,
            self._hides,
        )
        self.graph_calls: Evidence[dict[str, Any]] = Evidence(lambda: self.config.kept_records)

    async def aclose(self) -> None:
        """Stop everything."""
        await self.carrier.aclose()
        await self._portfolio.aclose()
        await self._throughput.aclose()
        await self.reviews.aclose()
        await self.desk.aclose()
        await self._links.aclose()
        await self.webhooks.aclose()

    # From the business to a person

    def send(self, number: Number, body: dict[str, Any]) -> dict[str, Any]:
        """Accept a message; returns Graph's answer. Raises `MetaError`."""
        kind = body.get("type", "text")
        recipient, person = self._acceptance.recipient(number, body)
        template = self._acceptance.content(number, body)
        chat = self.world.chat(person, number) if person is not None else None
        closed = self._acceptance.window(chat, kind) if chat is not None else None
        self._acceptance.rates(chat, number)
        asks_to_call = _asks_to_call(body) if template is None else template_fill.asks_to_call(template)
        wamid = new_wamid()
        if person is not None and asks_to_call:
            self.desk.permissions.of(person, number).request(self.clock.now(), wamid)
        filled = template_fill.fill(template, body["template"]) if template else None
        message = Message(
            id=wamid,
            direction="out",
            type=kind,
            content={kind: body.get(kind)},
            at=self.clock.now(),
            context=self._quote(chat, body),
            rendered=filled.rendered if filled else None,
            texts=dict(filled.texts) if filled else {},
            callback_data=body.get("biz_opaque_callback_data"),
            category=template["category"].lower() if template else "service",
            template_id=template["id"] if template else None,
            buttons=taps.buttons_of(template, body["template"]) if template else [],
            flaw=closed or (self._acceptance.flaw(chat, body) if chat is not None else None),
            asks_to_call=asks_to_call,
        )
        ends = {"person_id": person.id if person else None, "phone_number_id": number.id}
        held = self.faults.acting(TemplateHeld, **ends) if template is not None else None
        if chat is not None and held is not None:
            self.carrier.hold(chat, message, held)
        elif chat is not None:
            self.carrier.accept(chat, message)
        else:
            self.carrier.lose(number, recipient, message)
        self.journal.add(
            "message.accepted",
            message_id=message.id,
            phone_number_id=number.id,
            type=kind,
            person_id=person.id if person else None,
            biz_opaque_callback_data=message.callback_data,
        )
        sent: dict[str, Any] = {"id": message.id}
        if kind == "template":
            sent["message_status"] = "held_for_quality_assessment" if held is not None else "accepted"
        contacts = [_contact(recipient, person)]
        return {"messaging_product": "whatsapp", "contacts": contacts, "messages": [sent]}

    def mark_read(self, number: Number, body: dict[str, Any]) -> None:
        """A read receipt of the business, with the typing bubble if asked for. Raises `MetaError` 131009."""
        found = self.world.find_message(str(body.get("message_id")))
        if found is None or found[1].direction != "in" or found[0].number is not number:
            raise MetaError(131009, "message_id is no message of a person to this number.")
        chat, marked = found
        if marked.at <= self.clock.now() - MESSAGE_LIFE:
            raise MetaError(131009, "The message is older than 30 days.")
        bubble = body.get("typing_indicator")
        if bubble is not None and (not isinstance(bubble, dict) or bubble.get("type") != "text"):
            raise MetaError(131009, "Param typing_indicator['type'] must be text.")
        for message in chat.screen:
            if message.direction == "in" and message.at <= marked.at:
                message.read_by_business = True
        self.journal.add("read_receipt", message_id=marked.id, person_id=chat.person.id, phone_number_id=number.id)
        if bubble is not None:
            chat.typing_until = self.clock.now() + TYPING_SECONDS
            self.journal.add("typing", person_id=chat.person.id, phone_number_id=number.id)

    def _quote(self, chat: Chat | None, body: dict[str, Any]) -> dict[str, Any] | None:
        """The quote as the phone shows it: what is gone or too old is answered without one."""
        wamid = (body.get("context") or {}).get("message_id")
        quoted = self._acceptance.reachable(chat, wamid) if chat is not None and wamid else None
        return {"id": quoted.id, "message_id": quoted.id} if quoted is not None else None

    # From a person to the business

    def say(self, person: Person, number: Number, body: dict[str, Any]) -> str:
        """A person sends something; returns its wamid. ``body`` is Meta's inbound message without ids and time.

        What a blocked person writes stays on their phone. Raises `Unanswerable`.
        """
        chat = self.world.chat(person, number)
        now = self.clock.now()
        kind = str(body.get("type", "text"))
        content = {key: value for key, value in body.items() if key not in ("type", "context")}
        context = _answers_business(chat, body.get("context"))
        if person.id not in number.blocked:
            self._answer_request(person, number, content, context)
        message = Message(str(body.get("id") or new_wamid()), "in", kind, content, now, "sent", context)
        if kind == "reaction" and isinstance(content.get("reaction"), dict):
            target = chat.find(str(content["reaction"].get("message_id")))
            if target is not None:
                target.reactions["person"] = str(content["reaction"].get("emoji") or "")
        elif kind != "system":
            chat.screen.append(message)
        if person.id in number.blocked:
            return message.id
        if kind != "system":
            chat.open_window(now)
            if content.get("referral"):
                chat.referred_at = now
        number.count_message(now)
        self.journal.add("inbound", message_id=message.id, person_id=person.id, phone_number_id=number.id, type=kind)
        self.webhooks.update(number, "messages", self._inbound(person, number, message, content))
        return message.id

    def _answer_request(
        self, person: Person, number: Number, content: dict[str, Any], context: dict[str, Any] | None
    ) -> None:
        interactive = content.get("interactive")
        reply = interactive.get("call_permission_reply") if isinstance(interactive, dict) else None
        if isinstance(reply, dict):
            wamid = str(context["id"]) if context and "id" in context else None
            self.desk.permissions.of(person, number).answer(reply, self.clock.now(), wamid)

    def change_calling(self, number: Number, body: object) -> None:
        """Change the calling settings of a number, and tell of it where Meta does. Raises `MetaError` 100."""
        now = self.clock.now()
        if calling.change_calling(number, body, now, lambda media: bool(self.media.find(media, now, number.id))):
            changed = {"phone_number_id": number.id, "calling": calling.calling(number)}
            told = {"messaging_product": "whatsapp", "timestamp": str(int(now)), "type": "phone_number_settings"}
            account = self.world.accounts[number.account_id]
            update = {**told, "phone_number_settings": changed}
            self.webhooks.account_update(account, "account_settings_update", update)

    def block(self, person: Person) -> None:
        """The person blocks the business: no message arrives any more, and what they last got counts as unwanted."""
        person.blocks_business = True
        for chat in self.world.chats.values():
            if chat.person is person:
                self.reviews.unwanted(chat)

    def report(self, chat: Chat, wamid: str | None = None) -> bool:
        """The person reports a message of a template, or the last one; returns whether there is one."""
        self.journal.add("feedback", person_id=chat.person.id, phone_number_id=chat.number.id, feedback="report")
        return self.reviews.unwanted(chat, wamid)

    def prefer(self, chat: Chat, *, stop: bool) -> None:
        """The person stops the marketing messages of the business, or takes them again, and the business is told."""
        chat.stopped_marketing = stop
        value, person, now = "stop" if stop else "resume", chat.person, self.clock.now()
        self.journal.add("feedback", person_id=person.id, phone_number_id=chat.number.id, feedback=value)
        hidden = self._hides(person)
        preference: dict[str, Any] = {
            "user_id": person.user_id,
            "detail": f"User requested to {value} marketing messages",
            "category": "marketing_messages",
            "value": value,
            "timestamp": int(now),
        }
        if person.phone and not hidden:
            preference["wa_id"] = person.phone
        told = {"contacts": [person.contact(hidden=hidden)], "user_preferences": [preference]}
        self.webhooks.update(chat.number, "user_preferences", told)

    def _tell_of_message(self, person: Person, number: Number, message: Message) -> None:
        """A message that Meta sends in the name of a person, and that stands in no chat."""
        if person.id not in number.blocked:
            self.webhooks.update(number, "messages", self._inbound(person, number, message, message.content))

    def _inbound(self, person: Person, number: Number, message: Message, content: dict[str, Any]) -> dict[str, Any]:
        hidden = self._hides(person)
        parent = {"from_parent_user_id": person.parent_user_id} if person.parent_user_id else {}
        item: dict[str, Any] = {
            "from_user_id": person.user_id,
            **parent,
            "id": message.id,
            "timestamp": str(int(message.at)),
            "type": message.type,
            **content,
            **({"context": message.context} if message.context else {}),
        }
        if person.phone and not hidden:
            item["from"] = person.phone
        if self.faults.acting(UnknownType, phone_number_id=number.id, person_id=person.id):
            item["type"] = "hologram"
            item["hologram"] = {"depth": 3}
        return {"contacts": [person.contact(hidden=hidden)], "messages": [item]}

    def _hides(self, person: Person) -> bool:
        return person.hides_phone or self.faults.acting(OmitPhone, person_id=person.id) is not None


def _contact(name: str, person: Person | None) -> dict[str, Any]:
    """Whom Meta took a message to be for: the number alone says nothing about whether it is on WhatsApp."""
    if person is None:
        return {"input": name, "user_id": name} if is_user_id(name) else {"input": name, "wa_id": name.lstrip("+")}
    shown = {"wa_id": person.phone} if person.phone and not person.hides_phone else {}
    return {"input": name, **shown, "user_id": person.user_id}


def _answers_business(chat: Chat, context: dict[str, Any] | None) -> dict[str, Any] | None:
    """The context, but for the answer to a question of Meta's own: that is a change in the business's profile."""
    quoted = chat.find(str(context.get("id"))) if context else None
    if quoted is None or quoted.type != "system":
        return context
    quoted.asks_to_call = False
    return None


def _asks_to_call(body: dict[str, Any]) -> bool:
    return body.get("type") == "interactive" and body["interactive"].get("type") == "call_permission_request"
