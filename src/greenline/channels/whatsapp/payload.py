"""From a webhook body to single events. Pure, tolerant, and quick: it runs for every message and every status.

Nothing here raises on what Meta sends: unknown fields and types become events of kind ``unknown``, an item that
can't be used becomes a `Poison` and leaves its neighbours alone (Meta: Webhooks; up to 1,000 updates a body).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias

from greenline.channels.whatsapp.webhook_ids import contact_of, identifier, person, previous_id
from greenline.channels.whatsapp.webhook_json import digest, dump, dump_any, load

OBJECT: Final = "whatsapp_business_account"
TOO_DEEP: Final = "nested too deeply"

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    ``kind``: message, status, standby, user_preferences, identity, account, number, template, call,
    call_permission, errors, handover, unknown. ``dedupe`` is the same whenever Meta repeats the event.
    ``payload`` is JSON text; its shape depends on the kind: the status itself; ``{message, contact}`` for messages,
    their standby copies and answers to call permission requests, which are messages as well;
    ``{phone_number_id, call, contact, errors}`` or ``{phone_number_id, status}`` for calls;
    ``{field, business_account_id, time, value}`` for the others, where ``value`` is the item or the whole value.
    A message in a group carries ``group_id`` alone: the group is the chat, whoever writes in it.
    """

    kind: str
    dedupe: str
    payload: str = field(repr=False)
    phone_number_id: str | None = None
    business_account_id: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    group_id: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Poison:
    """What could not be used, with its bytes."""

    body: bytes = field(repr=False)
    reason: str


Parsed: TypeAlias = Event | Poison
_Reader: TypeAlias = Callable[["_Change"], Iterator[Parsed]]


@dataclass(slots=True)
class _Change:
    """A change of an entry, as its readers take it."""

    field: str
    value: dict[str, Any]
    business_account_id: str | None
    time: object
    phone_number_id: str | None


def parse_envelope(body: bytes) -> Iterator[Parsed]:
    """The events of a webhook body, in its order. A body that is no envelope of Meta's is one `Poison`."""
    try:
        envelope = load(body)
    except (ValueError, RecursionError) as error:
        yield Poison(body, f"not readable as JSON: {error}"[:300])
        return
    if not isinstance(envelope, dict) or not isinstance(envelope.get("entry"), list):
        yield Poison(body, "not an envelope with entries")
        return
    known = envelope.get("object") == OBJECT
    for entry in envelope["entry"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("changes"), list):
            yield _poison(entry, "an entry without changes")
            continue
        for change in entry["changes"]:
            try:
                yield from _read_change(entry, change, known=known)
            except RecursionError:
                yield Poison(body, TOO_DEEP)


def _read_change(entry: dict[str, Any], change: object, *, known: bool) -> Iterator[Parsed]:
    if not isinstance(change, dict):
        return iter((_poison(change, "a change that is not an object"),))
    name, value = change.get("field"), change.get("value")
    if not isinstance(name, str) or not isinstance(value, dict):
        return iter((_poison(change, "a change without field and value"),))
    metadata = value.get("metadata")
    number = identifier(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None
    context = _Change(name, value, identifier(entry.get("id")), entry.get("time"), number)
    reader = _READERS.get(name) if known else None
    return (
        reader(context) if reader else iter((_whole(context, _KINDS.get(name, "unknown") if known else "unknown"),))
    )


def _one(read: Callable[Concatenate[_Change, Any, P], Parsed]) -> Callable[Concatenate[_Change, Any, P], Parsed]:
    """``read`` for one item of a change, which is set aside alone where it is nested too deeply."""

    @wraps(read)
    def alone(change: _Change, item: Any, /, *args: P.args, **kwargs: P.kwargs) -> Parsed:
        try:
            return read(change, item, *args, **kwargs)
        except RecursionError:
            return _poison(item, TOO_DEEP)

    return alone


def _messages(change: _Change) -> Iterator[Parsed]:
    value = change.value
    messages, statuses, errors = value.get("messages"), value.get("statuses"), value.get("errors")
    if messages is not None:
        yield from _each_message(change, messages, value.get("contacts"), "message", "")
    if statuses is not None:
        for status in _items(statuses):
            yield _status(change, status)
    if errors is not None:
        for error in _items(errors):
            yield _item(change, error, "errors")
    if messages is None and statuses is None and errors is None:
        yield _whole(change, "unknown")


def _each_message(change: _Change, messages: object, contacts: object, kind: str, prefix: str) -> Iterator[Parsed]:
    items = _items(messages)
    for message in items:
        if not isinstance(message, dict):
            yield _poison(message, "a message that is not an object")
        elif change.phone_number_id is None:
            yield _poison(message, "a message to no number")
        else:
            contact = contact_of(message, contacts, alone=len(items) == 1)
            event = _message(change, message, contact, kind, prefix)
            yield event
            if isinstance(event, Event) and _is_call_permission(message):
                yield replace(event, kind="call_permission", dedupe=f"permission:{event.dedupe}")


def _is_call_permission(message: dict[str, Any]) -> bool:
    interactive = message.get("interactive")
    return isinstance(interactive, dict) and "call_permission_reply" in interactive


@_one
def _message(
    change: _Change, message: dict[str, Any], contact: dict[str, Any] | None, kind: str, prefix: str
) -> Parsed:
    payload = dump({"message": message, "contact": contact})
    wamid = identifier(message.get("id"))
    dedupe = f"{prefix}{wamid}" if wamid else digest(prefix or kind, message)
    number, account = change.phone_number_id, change.business_account_id
    if group_id := identifier(message.get("group_id")):
        return Event(kind, dedupe, payload, number, account, None, None, group_id)
    wa_id, bsuid = person(message, contact)
    if message.get("type") == "system":  # of the person as they were known before; the contact may be the new one
        bsuid = previous_id(message.get("system")) or (None if wa_id else bsuid)
    if wa_id is None and bsuid is None:
        return Poison(payload.encode(), "a message from nobody")
    return Event(kind, dedupe, payload, number, account, wa_id, bsuid)


@_one
def _status(change: _Change, status: object) -> Parsed:
    if not isinstance(status, dict):
        return _poison(status, "a status that is not an object")
    wamid, state = identifier(status.get("id")), identifier(status.get("status"))
    if wamid is None or state is None:
        return _poison(status, "a status of no message")
    # In a group each participant has a status of their own.
    recipient = (
        identifier(status.get("recipient_participant_id"))
        or identifier(status.get("recipient_id"))
        or identifier(status.get("recipient_user_id"))
    )
    return Event(
        "status",
        f"{wamid}:{state}:{recipient or ''}",
        dump(status),
        change.phone_number_id,
        change.business_account_id,
    )


def _standby(change: _Change) -> Iterator[Parsed]:
    """Copies of what another responder handles: never answered, but a person's message opens the window."""
    copies = change.value.get("standby")
    if not isinstance(copies, dict):
        yield _whole(change, "unknown")
        return
    contacts = copies.get("contacts") or change.value.get("contacts")
    if copies.get("messages") is not None:
        yield from _each_message(change, copies["messages"], contacts, "standby", "standby:")
    for name in ("message_echoes", "statuses"):
        for item in _items(copies.get(name, [])):
            yield _item(change, item, "unknown")


def _user_preferences(change: _Change) -> Iterator[Parsed]:
    for item in _items(change.value.get("user_preferences")):
        wa_id, bsuid = (
            (identifier(item.get("wa_id")), identifier(item.get("user_id")))
            if isinstance(item, dict)
            else (None, None)
        )
        kind = "user_preferences" if change.phone_number_id and (wa_id or bsuid) else "unknown"
        yield _item(change, item, kind, wa_id, bsuid)


def _user_id_update(change: _Change) -> Iterator[Parsed]:
    for item in _items(change.value.get("user_id_update")):
        ids = item.get("user_id") if isinstance(item, dict) else None
        wa_id = identifier(item.get("wa_id")) if isinstance(item, dict) else None
        previous = identifier(ids.get("previous")) if isinstance(ids, dict) else None
        kind = "identity" if change.phone_number_id and (wa_id or previous) else "unknown"
        yield _item(change, item, kind, wa_id, previous)


def _calls(change: _Change) -> Iterator[Parsed]:
    calls, statuses = (_items(change.value.get(name, [])) for name in ("calls", "statuses"))
    errors = _items(change.value.get("errors", []))
    contacts = change.value.get("contacts")
    for call in calls:
        contact = contact_of(call, contacts, alone=len(calls) == 1) if isinstance(call, dict) else None
        beside = errors if len(calls) == 1 else []  # Meta writes them beside the call or in it
        yield _call(change, call, "event", {"call": call, "contact": contact, "errors": beside})
    for status in statuses:
        yield _call(change, status, "status", {"status": status})
    if len(calls) != 1:
        for error in errors:
            yield _item(change, error, "errors")
    if not calls and not statuses and not errors:
        yield _whole(change, "unknown")


@_one
def _call(change: _Change, item: object, key: str, payload: dict[str, Any]) -> Parsed:
    call_id = identifier(item.get("id")) if isinstance(item, dict) else None
    if not isinstance(item, dict) or call_id is None or change.phone_number_id is None:
        return _poison(item, "an event of no call")
    return Event(
        "call",
        f"{call_id}:{key}:{identifier(item.get(key)) or ''}",
        dump({"phone_number_id": change.phone_number_id, **payload}),
        change.phone_number_id,
        change.business_account_id,
        call_id=call_id,
    )


@_one
def _item(change: _Change, item: object, kind: str, wa_id: str | None = None, bsuid: str | None = None) -> Parsed:
    if not isinstance(item, dict):
        return _poison(item, f"an item of {change.field} that is not an object"[:300])
    content = _content(change, item)
    return Event(
        kind,
        digest(change.field, content),
        dump(content),
        change.phone_number_id,
        change.business_account_id,
        wa_id,
        bsuid,
    )


def _whole(change: _Change, kind: str) -> Event:
    content = _content(change, change.value)
    dedupe = digest(change.field, content)
    return Event(kind, dedupe, dump(content), change.phone_number_id, change.business_account_id)


def _content(change: _Change, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "field": change.field,
        "business_account_id": change.business_account_id,
        "time": change.time,
        "value": value,
    }


_READERS: Final[dict[str, _Reader]] = {
    "messages": _messages,
    "standby": _standby,
    "user_preferences": _user_preferences,
    "user_id_update": _user_id_update,
    "calls": _calls,
}

_KINDS: Final = {
    "account_update": "account",
    "account_alerts": "account",
    "account_review_update": "account",
    "account_settings_update": "account",
    "business_capability_update": "account",
    "security": "account",
    "payment_configuration_update": "account",
    "phone_number_name_update": "number",
    "phone_number_quality_update": "number",
    "message_template_status_update": "template",
    "message_template_quality_update": "template",
    "message_template_components_update": "template",
    "template_category_update": "template",
    "template_correct_category_detection": "template",
    "messaging_handovers": "handover",
}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _poison(item: object, reason: str) -> Poison:
    return Poison(dump_any(item).encode(), reason)
