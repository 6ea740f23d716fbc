"""The permissions to call of everybody: what calls make of them, and what Meta and the person's phone say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from greenline.emulator.calls.call import Call
from greenline.emulator.calls.calling import calling
from greenline.emulator.calls.limits import CallLimits
from greenline.emulator.calls.permissions import TEMPORARY, TEST_NUMBER, Limits, Permission
from greenline.emulator.clock import MovableClock
from greenline.emulator.journal import Journal
from greenline.emulator.world import Message, Number, Person, World, new_wamid

QUESTION: Final = "You did not take the last calls of this business. May it go on calling you?"


class PermissionDesk:
    """Keeps the permission of each pair. ``inbox`` tells the business of a message that stands in no chat."""

    def __init__(
        self,
        world: World,
        clock: MovableClock,
        journal: Journal,
        limits: CallLimits,
        inbox: Callable[[Person, Number, Message], None],
    ) -> None:
        self._world = world
        self._clock = clock
        self._journal = journal
        self._limits = limits
        self._inbox = inbox
        self._permissions: dict[tuple[str, str], Permission] = {}

    def of(self, person: Person, number: Number) -> Permission:
        """That of a pair."""
        limits = Limits() if number.test_recipients is None else TEST_NUMBER
        return self._permissions.setdefault((person.id, number.id), Permission(limits))

    def shown(self, name: str, number: Number) -> dict[str, Any]:
        """``GET /{phone number}/call_permissions``; who can't be called has permitted nothing. Raises `MetaError`."""
        now = self._clock.now()
        self._limits.query(number, now)
        person = self._world.find_person(name)
        if person is None or not person.has_whatsapp:
            return Permission().shown(now)
        return self.of(person, number).shown(now)

    def settle(self, call: Call) -> None:
        """A call is over."""
        if call.direction == "USER_INITIATED":
            self._called_us(call)
        else:
            self._was_called(call)

    def _called_us(self, call: Call) -> None:
        """Who calls permits a call back, where the number is set so (Meta: callback permission)."""
        permission, now = self.of(call.person, call.number), self._clock.now()
        if call.started_at is not None:
            permission.talked()
        may_call_back = calling(call.number).get("callback_permission_status") == "ENABLED"
        if not may_call_back or permission.status(now) != "no_permission":
            return
        reply = {
            "response": "accept",
            "is_permanent": False,
            "expiration_timestamp": str(int(now + TEMPORARY)),
        }
        permission.answer(reply, now)
        self._tell(call, reply, {"from": call.number.wa_id, "id": call.id})

    def _was_called(self, call: Call) -> None:
        if call.error is not None and call.started_at is None:
            return  # nobody's phone rang
        permission, now = self.of(call.person, call.number), self._clock.now()
        fate = permission.ended(now, connected=call.started_at is not None)
        if fate == "questioned":
            self._question(call)
        elif fate == "withdrawn":
            self._tell(call, {"response": "reject"}, None)

    def _tell(self, call: Call, reply: dict[str, Any], context: dict[str, Any] | None) -> None:
        """A reply that the person did not give themselves (Meta: automatic replies)."""
        content = {
            "interactive": {
                "type": "call_permission_reply",
                "call_permission_reply": {**reply, "response_source": "automatic"},
            }
        }
        message = Message(new_wamid(), "in", "interactive", content, self._clock.now(), context=context)
        self._inbox(call.person, call.number, message)

    def _question(self, call: Call) -> None:
        """Ask the person on their phone whether the business may go on calling. The business hears only an answer."""
        now = self._clock.now()
        asked = Message(new_wamid(), "out", "system", {}, now, "read", rendered=QUESTION, asks_to_call=True)
        self._world.chat(call.person, call.number).screen.append(asked)
        about = {"person_id": call.person.id, "phone_number_id": call.number.id}
        self._journal.add("call.permission_questioned", message_id=asked.id, **about)
