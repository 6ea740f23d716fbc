"""The calls of the emulator: Meta's side of the Calling API, and the people who call and are called."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from aiortc.exceptions import InvalidStateError

from greenline.emulator.background import Background
from greenline.emulator.calls.call import Call
from greenline.emulator.calls.calling import g711, may_use_graph, why_closed
from greenline.emulator.calls.limits import CallLimits
from greenline.emulator.calls.memory import forget
from greenline.emulator.calls.peer import Peer
from greenline.emulator.calls.permission_desk import PermissionDesk
from greenline.emulator.calls.recording import Recordings, read_orders, voicemail_wait
from greenline.emulator.calls.script import Play, Script
from greenline.emulator.calls.sdp import check_sdp
from greenline.emulator.calls.telling import Teller
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.fault_kinds import CallUnsure
from greenline.emulator.faults import Faults
from greenline.emulator.journal import Journal
from greenline.emulator.limits import read_echo
from greenline.emulator.world import Message, Number, Person, World

WATCH_SECONDS: Final = 0.5
REJECTED_SECONDS: Final = 0.1
_TOO_LATE: Final = "The call can't be accepted any more."


class Desk:
    """Connects calls, and ends them as Meta does."""

    def __init__(
        self,
        world: World,
        config: Config,
        clock: MovableClock,
        faults: Faults,
        journal: Journal,
        teller: Teller,
        recordings: Recordings,
        recipient: Callable[[Number, Mapping[str, Any]], tuple[str, Person | None]],
        inbox: Callable[[Person, Number, Message], None],
    ) -> None:
        """``recipient`` tells who is meant by the body of a call; ``inbox`` the business of a message that stands in
        no chat.
        """
        self._world = world
        self._config = config
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._teller = teller
        self._recordings = recordings
        self._recipient = recipient
        self._inbox = inbox
        self._limits = CallLimits(config)
        self.permissions = PermissionDesk(world, clock, journal, self._limits, inbox)
        self._background = Background()
        self.calls: dict[str, Call] = {}

    async def aclose(self) -> None:
        """End every call."""
        for call in list(self.calls.values()):
            await self._hang_up(call)
        await self._background.aclose()
        await self._teller.aclose()

    def why_not(self, person: Person, number: Number) -> str | None:
        """Why the person can't call the number now; None when they can."""
        if any(call.person is person and call.occupies_phone for call in self._live()):
            return "Another call is under way on this phone: it must end first."
        if self._limits.is_full(number, self.calls.values()):
            return "The business has as many calls as it may have."
        return why_closed(number, self._clock.now())

    # The business (Graph)

    async def act(self, number: Number, body: dict[str, Any], base_url: str = "") -> dict[str, Any]:
        """``POST /{phone number}/calls``; ``base_url`` is the address that was called. Raises `MetaError`."""
        if body.get("messaging_product") != "whatsapp":
            raise MetaError(100, "(#100) The parameter messaging_product is required.")
        may_use_graph(number)
        action = body.get("action")
        answer: dict[str, Any] = {"messaging_product": "whatsapp", "success": True}
        if action == "connect":
            call = await self._connect(number, body, base_url)
            answer = {"messaging_product": "whatsapp", "calls": [{"id": call.id}]}
        else:
            call = await self._act_on(number, action, body, base_url)
        about = {"action": action, "call_id": call.id, "person_id": call.person.id, "phone_number_id": number.id}
        if (unsure := self._faults.acting(CallUnsure, **about)) is not None:
            raise MetaError(unsure.code, "A fault was set.", status=unsure.http_status)
        return answer

    async def _act_on(self, number: Number, action: object, body: dict[str, Any], base_url: str) -> Call:
        call = self.calls.get(str(body.get("call_id")))
        if call is None or call.number is not number:
            raise MetaError(100, "call_id is no call of this number.")
        match action:
            case "pre_accept" | "accept":
                call.base_url = base_url
                await self._accept(call, str(action), body)
            case "reject":
                if call.direction != "USER_INITIATED" or call.state != "ringing":
                    raise MetaError(100, "Only a call that rings at the business can be rejected.")
                self._background.start(self._end(call, "business_rejected"))
            case "terminate":
                if call.state == "ended":
                    raise MetaError(100, "The call has ended already.")
                if call.direction == "USER_INITIATED" and call.state != "active":
                    raise MetaError(100, "The call was not accepted: reject it.")
                self._background.start(self._end(call, "business"))
            case _:
                raise MetaError(100, "action must be pre_accept, accept, reject, terminate or connect.")
        return call

    async def _accept(self, call: Call, action: str, body: dict[str, Any]) -> None:
        if call.direction != "USER_INITIATED" or call.is_over:
            raise MetaError(100, _TOO_LATE)
        session = body.get("session")
        if not isinstance(session, dict) or session.get("sdp_type") != "answer":
            raise MetaError(100, "session must hold an answer.")
        sdp = check_sdp(session.get("sdp"), g711(call.number), is_answer=True)
        orders, echo = read_orders(action, body), read_echo(body)
        if call.accepted_sdp is None:
            try:
                await call.peer.apply_answer(sdp)
            except ValueError as error:
                raise MetaError(100, f"SDP can't be used: {error}") from error
            if call.is_over:  # meanwhile
                raise MetaError(100, _TOO_LATE)
            call.accepted_sdp = sdp
        elif sdp != call.accepted_sdp:
            raise MetaError(100, "The SDP of accept differs from that of pre_accept.")
        call.note(action)
        if action == "accept" and call.state != "active":
            call.orders = orders
            call.callback_data = echo
            self._activate(call)

    async def _connect(self, number: Number, body: dict[str, Any], base_url: str) -> Call:
        if not body.get("to") and not body.get("recipient"):
            raise MetaError(100, "to or recipient is required.")
        _, person = self._recipient(number, body)
        if person is None or not person.has_whatsapp:
            raise MetaError(138001, "This person can't be called.")
        permission, now = self.permissions.of(person, number), self._clock.now()
        if not self._teller.is_heard(number):
            raise MetaError(138018, "No app is subscribed to the field calls of this account.")
        permission.may_call(now)
        self._limits.begin(number, self.calls.values(), now)
        if any(call.person is person and call.number is number for call in self._live()):
            raise MetaError(138003, "A call with this person is under way.")
        session = body.get("session")
        if not isinstance(session, dict) or session.get("sdp_type") != "offer":
            raise MetaError(100, "session must hold an offer.")
        sdp = check_sdp(session.get("sdp"), g711(number))
        orders, echo = read_orders("connect", body), read_echo(body)
        call = self._new(number, person, "BUSINESS_INITIATED")
        call.orders, call.base_url, call.callback_data = orders, base_url, echo
        self._background.start(self._ring_person(call, sdp))
        return call

    # The person (control)

    async def dial(self, person: Person, number: Number, **payloads: str) -> Call:
        """A person calls the business; ``payloads`` are those of the button or the link by which they do."""
        call = self._new(number, person, "USER_INITIATED")
        call.payloads = payloads
        self._world.chat(person, number).open_window(self._clock.now())
        offer = await call.peer.offer()
        if call.state == "ended":  # hung up before it rang
            return call
        call.state = "ringing"
        call.note("dialled")
        self._teller.connect(call, "offer", offer)
        wait = voicemail_wait(number)
        patience = self._config.call_accept_seconds if wait is None else wait
        self._background.start(self._give_up(call, patience, "business_silent"))
        return call

    def take(self, call: Call) -> None:
        """A person takes the call of the business."""
        if call.direction == "BUSINESS_INITIATED" and call.state == "ringing":
            self._world.chat(call.person, call.number).open_window(self._clock.now())
            self._teller.status(call, "ACCEPTED")
            self._activate(call)

    def decline(self, call: Call) -> None:
        """A person declines the call of the business."""
        if call.direction == "BUSINESS_INITIATED" and call.state == "ringing":
            self._teller.status(call, "REJECTED")
            call.state = "rejected"
            self._background.start(self._end_rejected(call))

    def hang_up(self, call: Call) -> None:
        """A person hangs up."""
        if call.state != "ended":
            self._background.start(self._end(call, "person"))

    def leave_voicemail(self, call: Call, pcm: bytes) -> None:
        """A person leaves a message after a call that nobody took. Raises ``ValueError`` where they can't."""
        media = self._recordings.voicemail(call, pcm)
        message = Message(call.id, "in", "audio", {"audio": media.in_webhook()}, self._clock.now())
        self._inbox(call.person, call.number, message)

    async def attach(self, call: Call, offer: str) -> str:
        """A browser plays the person: its microphone is heard by the business. Returns the answer to its offer.

        Raises ``ValueError`` for an offer that can't be used, and where the call is over by then.
        """
        phone = Peer(partial(call.say, live=True), lite=False)
        try:
            answer = await phone.answer(offer)
        except ValueError as error:
            await phone.close()
            raise ValueError("This session description can't be used.") from error
        if call.state == "ended":  # meanwhile: nobody would close it
            await phone.close()
            raise ValueError("The call is over.")
        before, call.phone = call.phone, phone
        call.browsers += 1
        call.note("browser")
        if before is not None:
            self._background.start(before.close())
        return answer

    def perform(self, call: Call, script: Script) -> None:
        """The person keeps to a script from the acceptance of the call on."""
        call.play = Play(call, script, self.hang_up)
        self._background.start(call.play.run())

    # What goes on

    async def _ring_person(self, call: Call, offer: str) -> None:
        try:
            answer = await call.peer.answer(offer, setup=self._config.call_answer_setup)
        except InvalidStateError:  # ended meanwhile
            return
        except ValueError:
            call.error = 138007
            await self._end(call, "failed")
            return
        await self._clock.sleep(self._config.call_connect_delay)
        if call.state == "ended":
            return
        self._teller.connect(call, "answer", answer)
        self._background.start(self._give_up(call, self._config.call_ring_seconds, "no_answer"))
        if not call.person.online:  # the relay is there, the phone is not
            return
        call.state = "ringing"
        self._teller.status(call, "RINGING")
        if self._config.call_early_media:
            call.early_voice = True
            call.peer.first_packet.set()
        if call.person.answers_calls == "auto":
            await self._clock.sleep(self._config.call_answer_delay)
            self.take(call)
        elif call.person.answers_calls == "reject":
            self.decline(call)

    def _activate(self, call: Call) -> None:
        call.state = "active"
        call.started_at = self._clock.now()
        call.note("accepted")
        self._journal.add("call.accepted", call_id=call.id, person_id=call.person.id, phone_number_id=call.number.id)
        self._background.start(self._watch(call))
        if call.orders:
            self._background.start(self._recordings.begin(call))

    async def _watch(self, call: Call) -> None:
        """Hang up on a business that sends no sound at the start (Meta: 20 s), or nothing at all later (30 s)."""
        begun = time.monotonic()
        while call.state == "active":
            await asyncio.sleep(WATCH_SECONDS)
            if call.peer.packets:
                last, limit = max(begun, call.peer.keypad.last_packet_at), self._config.call_media_seconds
            else:  # reports are no sound
                last, limit = begun, self._config.call_first_media_seconds
            if time.monotonic() - last > limit:
                call.error = 138021
                await self._end(call, "no_media")

    async def _give_up(self, call: Call, seconds: float, why: str) -> None:
        await self._clock.sleep(seconds)
        if call.state in ("connecting", "ringing"):
            await self._end(call, why)

    async def _end_rejected(self, call: Call) -> None:
        """The end of a call follows the word that it was rejected, and never comes with it."""
        await self._clock.sleep(REJECTED_SECONDS)
        await self._end(call, "person_rejected")

    async def _end(self, call: Call, why: str) -> None:
        if call.state == "ended":
            return
        call.state, call.ended_by, call.ended_at = "ended", why, self._clock.now()
        call.note("ended", by=why)
        event: dict[str, Any] = {}
        if call.started_at is not None:
            duration = max(1, round(call.ended_at - call.started_at))
            event |= {
                "start_time": str(int(call.started_at)),
                "end_time": str(int(call.ended_at)),
                "duration": duration,
            }
        if call.callback_data is not None:
            event["biz_opaque_callback_data"] = call.callback_data
        self._teller.terminate(call, event)
        self.permissions.settle(call)
        self._journal.add(
            "call.ended", call_id=call.id, person_id=call.person.id, phone_number_id=call.number.id, by=why
        )
        await self._hang_up(call)
        forget(self.calls, self._config)
        await self._recordings.deliver(call)

    async def _hang_up(self, call: Call) -> None:
        call.state = "ended"
        await call.peer.close()
        if call.phone is not None:
            await call.phone.close()
            call.phone = None

    def _new(self, number: Number, person: Person, direction: Any) -> Call:
        wacid = "wacid." + base64.b64encode(secrets.token_bytes(24)).decode().rstrip("=")
        call = self.calls[wacid] = Call(
            wacid, number, person, direction, self._clock.now(), self._config.call_sound_seconds
        )
        self._journal.add(
            "call.began", call_id=wacid, person_id=person.id, phone_number_id=number.id, direction=direction
        )
        return call

    def _live(self) -> list[Call]:
        return [call for call in self.calls.values() if call.state != "ended"]
