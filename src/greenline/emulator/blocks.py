"""The block list of a number: ``/{phone_number_id}/block_users`` (Meta: Block users)."""

from __future__ import annotations

from typing import Any, Final

from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number, Person, World

PER_REQUEST: Final = 1000
LIST_SIZE: Final = 64_000


def listed(world: World, number: Number) -> list[dict[str, Any]]:
    """Who is blocked, the first one blocked first."""
    rows = []
    for person_id in number.blocked:
        person = world.people[person_id]
        row = {"messaging_product": "whatsapp", "user_id": person.user_id}
        rows.append({**row, "wa_id": person.phone} if person.phone else row)
    return rows


def change(world: World, number: Number, body: dict[str, Any], now: float, *, blocking: bool) -> dict[str, Any]:
    """Block or unblock; those for whom it works are done even if others fail.

    Raises:
        MetaError: 100 for a body of another shape, 139101 for a list that would become too long, 139100 if it fails
            for some, with the answer beside the error that tells for whom.
    """
    names = _names(body)
    done: dict[str, Person] = {}
    failed: list[dict[str, Any]] = []
    for name in names:
        person = world.find_person(name.removeprefix("+"))
        error = _refusal(world, number, person, now) if blocking else _unknown(person)
        if person is None or error is not None:
            failed.append(_failed(name, person, error))
        else:
            done[name] = person
    new = {person.id for person in done.values()} - number.blocked.keys()
    if blocking and len(number.blocked) + len(new) > LIST_SIZE:
        raise MetaError(139101, f"A block list holds at most {LIST_SIZE} users.")
    for person in done.values():
        if blocking:
            number.blocked.setdefault(person.id)
        else:
            number.blocked.pop(person.id, None)
    users: dict[str, Any] = {"added_users" if blocking else "removed_users": [_done(*pair) for pair in done.items()]}
    if not failed:
        return {"messaging_product": "whatsapp", "block_users": users}
    raise MetaError(
        139100,
        f"Failed to {'block' if blocking else 'unblock'} some users, see the block_users response list for details",
        beside={"messaging_product": "whatsapp", "block_users": {**users, "failed_users": failed}},
    )


def _names(body: dict[str, Any]) -> list[str]:
    if body.get("messaging_product") != "whatsapp":
        raise MetaError(100, "The parameter messaging_product is required.")
    items = body.get("block_users")
    if not isinstance(items, list) or not items:
        raise MetaError(100, "The parameter block_users must be a list of users.")
    if len(items) > PER_REQUEST:
        raise MetaError(100, f"The parameter block_users takes at most {PER_REQUEST} users.")
    names = []
    for item in items:
        name = (item.get("user") or item.get("user_id")) if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise MetaError(100, "Each of block_users needs a user or a user_id.")
        names.append(name)
    return names


def _refusal(world: World, number: Number, person: Person | None, now: float) -> MetaError | None:
    if person is None:
        return _unknown(person)
    chat = world.chats.get((person.id, number.id))
    if person.id not in number.blocked and (chat is None or chat.window_until <= now):
        return MetaError(131047, "User has not messaged in the last 24 hours")
    return None


def _unknown(person: Person | None) -> MetaError | None:
    return MetaError(131026, "The number is not on WhatsApp.") if person is None else None


def _done(name: str, person: Person) -> dict[str, Any]:
    return {"input": name, **({"wa_id": person.phone} if person.phone else {"user_id": person.user_id})}


def _failed(name: str, person: Person | None, error: MetaError | None) -> dict[str, Any]:
    row: dict[str, Any] = {"input": name}
    if person is not None and person.phone:
        row["wa_id"] = person.phone
    if error is not None:
        row["errors"] = [{"message": error.title, "code": error.code, "error_data": {"details": error.details}}]
    return row
