"""What became of the messages of a conversation, as its journal tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from greenline.conversations.events import Delivery, Entry

STATES: Final = ("accepted", "sent", "failed", "delivered", "read", "played")
"""By rank, the same as ``delivery_rank`` in the database: a message seen on the device after all did not fail."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the person: its highest state (``queued`` before Meta took it) and when it reached each."""

    outbox_id: str
    state: str = "queued"
    wamid: str | None = None
    error: Mapping[str, Any] | None = None
    pricing: Mapping[str, Any] | None = None
    times: Mapping[str, datetime] = field(default_factory=dict)


class DeliveryError(BaseModel):
    """Why a message failed, in Meta's words or, where it refused to send, in the sender's."""

    code: int | str | None = None
    title: str | None = None
    details: str | None = None


class MessageDelivery(BaseModel):
    """How far one message came; times in milliseconds since 1970, of Meta's clock but for the first."""

    outbox_id: str
    state: str
    wamid: str | None = None
    error: DeliveryError | None = None
    accepted_at_unix_ms: int | None = None
    sent_at_unix_ms: int | None = None
    delivered_at_unix_ms: int | None = None
    read_at_unix_ms: int | None = None
    played_at_unix_ms: int | None = None
    failed_at_unix_ms: int | None = None


class TurnDelivery(BaseModel):
    """How far a turn came: the state of the message that is furthest behind, and each message.

    A long answer travels in several messages, and several turns may share one.
    """

    state: str
    wamid: str | None = None
    error: DeliveryError | None = None
    messages: list[MessageDelivery]


def fold_deliveries(entries: Iterable[Entry]) -> dict[str, Sent]:
    """The messages that the journal tells of, by outbox id. States of an unknown name are left out."""
    found: dict[str, Sent] = {}
    for entry in entries:
        if isinstance(entry.event, Delivery):
            before = found.get(entry.event.outbox_id, Sent(entry.event.outbox_id))
            found[before.outbox_id] = _after(before, entry.event, entry.event.at or entry.at)
    return found


def turn_delivery(sent: Sequence[Sent]) -> TurnDelivery | None:
    """The messages of a turn together; None for a turn without any."""
    if not sent:
        return None
    slowest = min(sent, key=_progress)
    return TurnDelivery(
        state=slowest.state,
        wamid=slowest.wamid,
        error=delivery_error(slowest.error) if slowest.state == "failed" else None,
        messages=[_message(message) for message in sent],
    )


def delivery_error(error: Mapping[str, Any] | None) -> DeliveryError | None:
    """The error of a journal's event, whatever it holds."""
    if error is None:
        return None
    code, title, details = error.get("code"), error.get("title"), error.get("details")
    return DeliveryError(
        code=code if isinstance(code, int | str) else None,
        title=title if isinstance(title, str) else None,
        details=details if isinstance(details, str) else None,
    )


def milliseconds(moment: datetime) -> int:
    """Unix time in milliseconds."""
    return round(moment.timestamp() * 1000)


def failure_reason(error: DeliveryError | None) -> str:
    """Why a message failed, in words."""
    told: dict[str, str] = {}
    for part in (error.code, error.title, error.details) if error else ():
        if part:  # Meta's details often repeat the title
            told.setdefault(str(part).rstrip("."), str(part))
    return ", ".join(told.values()) or "no reason was given"


def _after(before: Sent, event: Delivery, at: datetime) -> Sent:
    if event.state not in STATES:
        return before
    times = dict(before.times)
    times[event.state] = min(at, times.get(event.state, at))
    rises = before.state not in STATES or STATES.index(event.state) > STATES.index(before.state)
    return replace(
        before,
        state=event.state if rises else before.state,
        wamid=before.wamid or event.wamid,
        error=event.error or before.error,
        pricing=event.pricing or before.pricing,
        times=times,
    )


def _progress(sent: Sent) -> int:
    """A failed message is behind all others; a queued one comes next."""
    if sent.state == "failed":
        return -2
    return STATES.index(sent.state) if sent.state in STATES else -1


def _message(sent: Sent) -> MessageDelivery:
    times = {f"{state}_at_unix_ms": milliseconds(at) for state, at in sent.times.items()}
    error = delivery_error(sent.error) if sent.state == "failed" else None
    return MessageDelivery(outbox_id=sent.outbox_id, state=sent.state, wamid=sent.wamid, error=error, **times)
