"""How businesses learn that a person has another number or another business-scoped id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from greenline.emulator.clock import MovableClock
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Person, World, digits, new_wamid

Told = Literal["system", "field", "both"]


class Identities:
    """Changes who somebody is. ``hides`` says whether a person's number stays out of webhooks."""

    def __init__(
        self, world: World, clock: MovableClock, webhooks: Webhooks, hides: Callable[[Person], bool]
    ) -> None:
        self._world = world
        self._clock = clock
        self._webhooks = webhooks
        self._hides = hides

    def change_number(self, person: Person, phone: str) -> None:
        """The person takes a new number, and gets new ids with it; every business that knows them is told."""
        before, old = _ids(person), person.phone
        person.phone = phone
        _renew(person)
        text = f"{person.name} changed from {old} to {phone}"
        system = {"type": "user_changed_number", "user_id": person.user_id, "previous_user_id": before["user_id"]}
        if self._hides(person):
            text, old = f"{person.name} changed their phone number", None
        else:
            system["wa_id"] = phone
        self._tell_by_message(person, old, before, {"body": text, **system})

    def change_user_id(self, person: Person, told: Told) -> None:
        """The person gets new ids; Meta documents two ways to tell of it, and which one is in use is not sure."""
        before = _ids(person)
        _renew(person)
        phone = None if self._hides(person) else person.phone
        if told != "field":
            text = f"{person.name} has another user id"
            system = {"body": text, "type": "user_changed_user_id", "user_id": person.user_id}
            system["previous_user_id"] = before["user_id"]
            self._tell_by_message(person, phone, before, {**system, **({"wa_id": phone} if phone else {})})
        if told != "system":
            self._tell_by_field(person, phone, before)

    def _tell_by_message(
        self, person: Person, phone: str | None, before: dict[str, str], system: dict[str, str]
    ) -> None:
        for number in self._businesses_of(person):
            message = {
                **({"from": phone} if phone else {}),
                **{f"from_{name}": value for name, value in before.items()},
                "id": new_wamid(),
                "timestamp": str(int(self._clock.now())),
                "type": "system",
                "system": system,
            }
            self._webhooks.update(number, "messages", {"messages": [message]})

    def _tell_by_field(self, person: Person, phone: str | None, before: dict[str, str]) -> None:
        change: dict[str, Any] = {"detail": "The user id changed.", "timestamp": int(self._clock.now())}
        change |= {name: {"previous": before[name], "current": now} for name, now in _ids(person).items()}
        if phone:
            change["wa_id"] = phone
        for number in self._businesses_of(person):
            self._webhooks.update(number, "user_id_update", {"user_id_update": [change]})

    def _businesses_of(self, person: Person) -> list[Any]:
        return [chat.number for chat in self._world.chats.values() if chat.person is person]


def _ids(person: Person) -> dict[str, str]:
    found = {"user_id": person.user_id, "parent_user_id": person.parent_user_id}
    return {name: value for name, value in found.items() if value}


def _renew(person: Person) -> None:
    country = person.user_id[:2]
    person.user_id = f"{country}.{digits(16)}"
    if person.parent_user_id:
        person.parent_user_id = f"{country}.ENT.{digits(16)}"
