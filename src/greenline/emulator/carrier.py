"""The way of a message from its acceptance to the person's phone, and the statuses that tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from greenline.emulator import pricing
from greenline.emulator.acceptance import is_user_id
from greenline.emulator.area_codes import is_us
from greenline.emulator.background import Background
from greenline.emulator.calls.desk import Desk
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.evidence import Evidence
from greenline.emulator.fault_kinds import LateFailed, StatusOrder, TemplateHeld
from greenline.emulator.faults import Faults
from greenline.emulator.journal import Journal
from greenline.emulator.links import Links
from greenline.emulator.reviews import Reviews
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Chat, Message, Number, Person, World

RANK: Final = {"accepted": 0, "sent": 1, "delivered": 2, "read": 3, "played": 4, "failed": 5}


class Carrier:
    """Brings messages to phones, in the order of their acceptance within a chat.

    ``hides`` says whether the phone number of a person stays out of webhooks.
    """

    def __init__(
        self,
        world: World,
        config: Config,
        clock: MovableClock,
        faults: Faults,
        journal: Journal,
        webhooks: Webhooks,
        links: Links,
        desk: Desk,
        reviews: Reviews,
        hides: Callable[[Person], bool],
    ) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._webhooks = webhooks
        self._links = links
        self._desk = desk
        self._reviews = reviews
        self._hides = hides
        self.evidence: Evidence[dict[str, Any]] = Evidence(lambda: config.kept_records)
        """What arrived on phones."""
        self._background = Background()

    async def aclose(self) -> None:
        """Bring nothing more."""
        await self._background.aclose()

    def hold(self, chat: Chat, message: Message, held: TemplateHeld) -> None:
        """Keep a message until the quality of its template is assessed."""
        self._background.start(self._hold(chat, message, held))

    def accept(self, chat: Chat, message: Message) -> None:
        """Begin to bring a message that Meta took."""
        chat.accepted.append(message)
        chat.typing_until = 0.0
        if not chat.leaving:
            chat.leaving = True
            self._background.start(self._bring_on_the_way(chat))

    def lose(self, number: Number, recipient: str, message: Message) -> None:
        """Tell that a message reaches nobody: ``recipient`` is as the business wrote it."""
        self._background.start(self._fail_later(number, recipient, message))

    def read(self, chat: Chat, wamid: str | None = None) -> int:
        """The person reads the business's messages up to one, or all; returns how many were unread."""
        unread = [m for m in chat.screen if m.direction == "out" and RANK[m.status] < RANK["read"]]
        if wamid is not None:
            places = [place for place, message in enumerate(unread) if message.id == wamid]
            unread = unread[: places[0] + 1] if places else []
        for message in unread:
            message.status = "read"
            self._note("message.read", chat, message)
            if chat.person.sends_receipts:
                self._status(chat, message, "read")
        return len(unread)

    def play(self, chat: Chat, message: Message) -> bool:
        """The person plays a voice note of the business; returns whether for the first time, which alone is told."""
        content = message.content.get(message.type)
        is_note = message.type == "audio" and isinstance(content, dict) and bool(content.get("voice"))
        if not is_note or message.direction != "out" or RANK[message.status] >= RANK["played"]:
            return False
        self.read(chat, message.id)
        message.status = "played"
        self._note("message.played", chat, message)
        if chat.person.sends_receipts:
            self._status(chat, message, "played")
        return True

    def go_online(self, person: Person) -> None:
        """Deliver what waited for the person."""
        for chat in self._world.chats.values():
            if chat.person is person and chat.outgoing:
                self._bring_to_the_phone(chat)

    async def _hold(self, chat: Chat, message: Message, held: TemplateHeld) -> None:
        await self._clock.sleep(held.seconds)
        if held.fails:
            message.flaw = MetaError(132015, "The template is paused due to low quality.")
        self.accept(chat, message)

    async def _bring_on_the_way(self, chat: Chat) -> None:
        """Tell of each accepted message that it was sent, whether or not the phone can be reached."""
        try:
            while chat.accepted:
                message = chat.accepted[0]
                await self._wait_until(message.at + self._config.sent_delay)
                message.flaw = message.flaw or await self._links.flaw({"type": message.type, **message.content})
                chat.accepted.remove(message)
                if not self._is_refused(chat, message):
                    self._leave(chat, message)
        finally:
            chat.leaving = False

    def _leave(self, chat: Chat, message: Message) -> None:
        message.status, message.left_at = "sent", self._clock.now()
        message.price = pricing.settle(chat, message, self._config, message.left_at)
        self._note("message.sent", chat, message)
        ends = {"person_id": chat.person.id, "phone_number_id": chat.number.id}
        disorder = self._faults.acting(StatusOrder, **ends)
        if disorder is not None:
            message.backwards = disorder.seconds
        else:
            self._status(chat, message, "sent")
        late = self._faults.acting(LateFailed, **ends)
        if late is not None:
            self._background.start(self._fail_late(chat, message, MetaError(late.code, "A fault was set.")))
            return
        chat.outgoing.append(message)
        self._bring_to_the_phone(chat)

    def _bring_to_the_phone(self, chat: Chat) -> None:
        if not chat.arriving:
            chat.arriving = True
            self._background.start(self._carry(chat))

    async def _carry(self, chat: Chat) -> None:
        """Bring a chat's messages to the phone, in the order of their acceptance."""
        try:
            while chat.outgoing and chat.person.online:
                await self._wait_until(chat.outgoing[0].left_at + self._config.delivered_delay)
                if chat.person.online:
                    self._arrive(chat, chat.outgoing.pop(0))
        finally:
            chat.arriving = False

    async def _wait_until(self, moment: float) -> None:
        await self._clock.sleep(moment - self._clock.now())

    def _is_refused(self, chat: Chat, message: Message) -> bool:
        person = chat.person
        if not person.has_whatsapp or person.blocks_business:
            self._failed(chat, message, MetaError(131026, "The person can't be reached."))
        elif message.category == "marketing" and chat.stopped_marketing:
            self._failed(chat, message, MetaError(131050))
        elif message.category == "marketing" and self._is_held(person):
            self._failed(
                chat, message, MetaError(131049, "Marketing is not delivered to numbers of the United States.")
            )
        elif message.flaw is not None:
            self._failed(chat, message, message.flaw)
        else:
            return False
        return True

    def _is_held(self, person: Person) -> bool:
        """Whether Meta keeps marketing from the person, for the country of their number."""
        return not self._config.us_marketing and person.phone is not None and is_us(person.phone)

    async def _fail_late(self, chat: Chat, message: Message, error: MetaError) -> None:
        await self._clock.sleep(self._config.delivered_delay)
        self._failed(chat, message, error)

    def _failed(self, chat: Chat, message: Message, error: MetaError) -> None:
        message.status = "failed"
        message.error = error.in_status()
        self._note("message.failed", chat, message, code=error.code)
        self._status(chat, message, "failed")
        if message.template_id:
            self._reviews.settled(message.template_id)

    def _arrive(self, chat: Chat, message: Message) -> None:
        message.status = "delivered"
        if message.type == "reaction":
            target = chat.find(str(message.content["reaction"].get("message_id")))
            if target is not None:
                target.reactions["business"] = message.content["reaction"].get("emoji", "")
        else:
            chat.screen.append(message)
        self.evidence.append(
            {
                "person_id": chat.person.id,
                "phone_number_id": chat.number.id,
                "message_id": message.id,
                "type": message.type,
                "biz_opaque_callback_data": message.callback_data,
                "at": self._clock.now(),
            }
        )
        self._note(
            "message.delivered", chat, message, type=message.type, biz_opaque_callback_data=message.callback_data
        )
        if message.asks_to_call:
            self._desk.permissions.of(chat.person, chat.number).delivered(self._clock.now(), message.id)
        if message.template_id:
            self._reviews.delivered(message.template_id, message.id)
        if message.type == "reaction":  # of a reaction, sent is all that is told
            return
        if message.backwards is not None:
            self._background.start(self._tell_backwards(chat, message, message.backwards))
        else:
            self._status(chat, message, "delivered")
        if chat.person.reads == "auto":
            self._background.start(self._read_later(chat, message))

    async def _tell_backwards(self, chat: Chat, message: Message, seconds: float) -> None:
        """The person reads at once, and the business learns of it before it learns of the way to it."""
        message.status = "read"
        self._note("message.read", chat, message)
        for state in ("read", "delivered", "sent"):
            self._status(chat, message, state)
            await self._clock.sleep(seconds)

    async def _read_later(self, chat: Chat, message: Message) -> None:
        await self._clock.sleep(self._config.read_delay)
        self.read(chat, message.id)

    async def _fail_later(self, number: Number, recipient: str, message: Message) -> None:
        await self._clock.sleep(self._config.sent_delay)
        by_id = is_user_id(recipient)
        nobody = Person("nobody", "", None if by_id else recipient.lstrip("+"), recipient if by_id else "")
        self._failed(Chat(nobody, number), message, MetaError(131026, "Message undeliverable."))

    def _note(self, kind: str, chat: Chat, message: Message, **more: Any) -> None:
        ends = {"person_id": chat.person.id, "phone_number_id": chat.number.id}
        self._journal.add(kind, message_id=message.id, **ends, **more)

    def _status(self, chat: Chat, message: Message, state: str) -> None:
        """Tell of a state; of whom, too, unless it failed, and without their username when it was sent."""
        person, hidden = chat.person, self._hides(chat.person)
        status: dict[str, Any] = {
            "id": message.id,
            "status": state,
            "timestamp": str(int(self._clock.now())),
        }
        if person.phone and not hidden:
            status["recipient_id"] = person.phone
        if person.user_id:
            status["recipient_user_id"] = person.user_id
        if person.parent_user_id:
            status["recipient_parent_user_id"] = person.parent_user_id
        if message.callback_data is not None:
            status["biz_opaque_callback_data"] = message.callback_data
        if state == "failed" and message.error:
            status["errors"] = [message.error]
        elif state in ("sent", "delivered"):
            status["pricing"] = message.price
            shown = pricing.conversation(chat, message, state, self._config, self._clock.now())
            if shown is not None:
                status["conversation"] = shown
        told: dict[str, Any] = {"statuses": [status]}
        if state != "failed":
            told["contacts"] = [person.contact(hidden=hidden, with_username=state != "sent")]
        self._webhooks.update(chat.number, "messages", told)
