"""What the business is told of calls: the webhooks of field ``calls``, and the faults that they may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenline.emulator.background import Background
from greenline.emulator.calls.call import Call
from greenline.emulator.clock import MovableClock
from greenline.emulator.errors import MetaError
from greenline.emulator.fault_kinds import (
    CallBatch,
    CallConnectLost,
    CallDuplicate,
    CallEndFirst,
    CallShuffle,
    CallStaleConnect,
    CallSwapped,
    CallUndirected,
)
from greenline.emulator.faults import F, Faults
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Number, Person

Value = dict[str, Any]


class Teller:
    """Tells of calls. ``hides`` says whether the phone number of a person stays out of webhooks."""

    def __init__(
        self, webhooks: Webhooks, faults: Faults, clock: MovableClock, hides: Callable[[Person], bool]
    ) -> None:
        self._webhooks = webhooks
        self._faults = faults
        self._clock = clock
        self._hides = hides
        self._begun: dict[str, Value] = {}
        """By call, its ``connect`` as long as it may be told again."""
        self._held: dict[str, Value] = {}
        """By call, a ``connect`` that waits for the end of the call."""
        self._batches: dict[str, list[Value]] = {}
        self._background = Background()

    async def aclose(self) -> None:
        """Tell nothing more."""
        await self._background.aclose()

    def is_heard(self, number: Number) -> bool:
        """Whether anybody is told of calls of the number."""
        return self._webhooks.is_subscribed(number, "calls")

    def connect(self, call: Call, kind: str, sdp: str) -> None:
        """A person calls (``offer``), or the relay answers the call of the business (``answer``)."""
        value = self._value(call, {"event": "connect", **call.payloads, "session": {"sdp_type": kind, "sdp": sdp}})
        self._begun[call.id] = value
        if self._acting(CallConnectLost, call, "connect"):
            call.note("connect_lost")
        elif self._acting(CallEndFirst, call, "connect"):
            self._held[call.id] = value
        else:
            self._tell(call, "connect", value)

    def terminate(self, call: Call, more: Value) -> None:
        """A call is over."""
        value = self._value(call, {"event": "terminate", "status": "FAILED" if call.error else "COMPLETED", **more})
        if call.error:
            value["errors"] = [MetaError(call.error).in_status()]
        self._tell(call, "terminate", value)
        begun, held = self._begun.pop(call.id, None), self._held.pop(call.id, None)
        if held is not None:
            self._background.start(self._later(call.number, held, 0.2))
        stale = self._acting(CallStaleConnect, call, "terminate")
        if stale is not None and begun is not None:
            self._background.start(self._later(call.number, begun, stale.seconds))

    def file(self, call: Call, event: str, more: Value) -> None:
        """A recording or transcript of a call is there."""
        self._tell(call, event, self._value(call, {"event": event, **more}))

    def status(self, call: Call, status: str) -> None:
        """Where a call of the business stands: ``RINGING``, ``ACCEPTED`` or ``REJECTED``."""
        call.note(status.lower())
        told: Value = {"id": call.id, "type": "call", "status": status, "timestamp": self._timestamp()}
        if call.person.phone and not self._hides(call.person):
            told["recipient_id"] = call.person.phone
        told["recipient_user_id"] = call.person.user_id
        if call.person.parent_user_id:
            told["recipient_parent_user_id"] = call.person.parent_user_id
        if call.callback_data is not None:
            told["biz_opaque_callback_data"] = call.callback_data
        self._tell(call, status, {"contacts": [self._contact(call.person)], "statuses": [told]})

    def _value(self, call: Call, event: Value) -> Value:
        person, business = call.person, call.number.wa_id
        ours = call.direction == "BUSINESS_INITIATED"
        theirs, mine = ("to", "from") if ours else ("from", "to")
        if self._acting(CallSwapped, call, event["event"]):
            theirs, mine = mine, theirs
        ends: Value = {mine: business, f"{theirs}_user_id": person.user_id}
        if person.parent_user_id:
            ends[f"{theirs}_parent_user_id"] = person.parent_user_id
        if person.phone and not self._hides(person):
            ends[theirs] = person.phone
        direction = {} if self._acting(CallUndirected, call, event["event"]) else {"direction": call.direction}
        told = {"id": call.id, **ends, "timestamp": self._timestamp(), **direction, **event}
        return {"contacts": [self._contact(person)], "calls": [told]}

    def _contact(self, person: Person) -> Value:
        return person.contact(hidden=self._hides(person))

    def _tell(self, call: Call, event: str, value: Value) -> None:
        if (batch := self._acting(CallBatch, call, event)) is not None:
            self._collect(call.number, value, batch)
            return
        shuffle = self._acting(CallShuffle, call, event)
        hold = shuffle.up_to(shuffle.seconds) if shuffle else 0.0
        self._background.start(self._later(call.number, value, hold)) if hold else self._send(call.number, value)
        if (twice := self._acting(CallDuplicate, call, event)) is not None:
            for _ in range(twice.copies):
                self._background.start(self._later(call.number, value, hold + twice.seconds))

    def _collect(self, number: Number, value: Value, batch: CallBatch) -> None:
        values = self._batches.setdefault(number.id, [])
        values.append(value)
        if len(values) >= batch.size:
            self._flush(number)
        elif len(values) == 1:
            self._background.start(self._flush_later(number, batch.seconds))

    def _flush(self, number: Number) -> None:
        whole: Value = {}
        for value in self._batches.pop(number.id, ()):
            errors = value.pop("errors", None)
            for key, items in value.items():
                whole.setdefault(key, []).extend(item for item in items if item not in whole.get(key, ()))
            if errors:  # beside several calls nobody would know whose they are
                whole["calls"][-1]["errors"] = errors
        if whole:
            self._send(number, whole)

    async def _flush_later(self, number: Number, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._flush(number)

    async def _later(self, number: Number, value: Value, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._send(number, value)

    def _send(self, number: Number, value: Value) -> None:
        self._webhooks.update(number, "calls", value)

    def _acting(self, kind: type[F], call: Call, event: str) -> F | None:
        return self._faults.acting(
            kind,
            call_id=call.id,
            person_id=call.person.id,
            phone_number_id=call.number.id,
            direction=call.direction,
            event=event,
        )

    def _timestamp(self) -> str:
        return str(int(self._clock.now()))
