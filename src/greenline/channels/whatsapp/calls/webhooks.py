"""From what Meta says of a call to what happened to it. Pure; takes any JSON.

Meta's samples disagree with each other: ``from`` and ``to`` are swapped in some, the direction is absent in some,
errors stand in the call or beside it. What can be read is read, the rest is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from greenline.channels.whatsapp.calls.events import (
    Answered,
    Declined,
    Happening,
    PickedUp,
    Replied,
    Terminated,
)
from greenline.channels.whatsapp.inbound import UNKNOWN_TIME, read_timestamp
from greenline.channels.whatsapp.webhook_ids import person
from greenline.text import clean_data

_STATUSES: Final[Mapping[str, Happening]] = {"ACCEPTED": PickedUp(), "REJECTED": Declined()}


@dataclass(frozen=True, slots=True)
class CallNews:
    """An event of a call. ``offer`` is set when a person calls; ``happening`` when the event moves a call that is."""

    call_id: str
    offer: str | None = field(default=None, repr=False)
    happening: Happening | None = None
    wa_id: str | None = field(default=None, repr=False)
    bsuid: str | None = field(default=None, repr=False)
    at: datetime = UNKNOWN_TIME
    talk_seconds: int | None = None
    callback: str | None = None
    """What we gave Meta when we made the call: our id of it."""
    is_status: bool = False
    """Whether Meta would have given that back, had the call been ours."""

    @property
    def ends(self) -> bool:
        """Whether it says that the call is over."""
        return isinstance(self.happening, Terminated | Declined)


def read_news(payload: object, business_number: str) -> CallNews:
    """The news in a stored event of kind ``call``; ``business_number`` tells the person from the business."""
    payload = _object(clean_data(payload))
    if status := _object(payload.get("status")):
        happening = _STATUSES.get(str(status.get("status")).upper())
        return CallNews(str(status.get("id")), happening=happening, callback=_callback(status), is_status=True)
    call, contact = _object(payload.get("call")), _object(payload.get("contact"))
    told, event = CallNews(str(call.get("id")), callback=_callback(call)), call.get("event")
    if event == "terminate":
        return replace(told, happening=_ended(call, payload), talk_seconds=_seconds(call.get("duration")))
    session = _object(call.get("session"))
    sdp = session.get("sdp")
    if event != "connect" or not isinstance(sdp, str):
        return told
    if _is_inbound(call, session):
        wa_id, bsuid = _caller(call, contact, business_number)
        return replace(told, offer=sdp, wa_id=wa_id, bsuid=bsuid, at=read_timestamp(call.get("timestamp")))
    return replace(told, happening=Answered(sdp))


def read_reply(payload: object) -> Replied | None:
    """The person's word in a stored event of kind ``call_permission``."""
    message = _object(_object(clean_data(payload)).get("message"))
    reply = _object(_object(message.get("interactive")).get("call_permission_reply"))
    granted = {"accept": True, "reject": False}.get(str(reply.get("response")).lower())
    if granted is None:
        return None
    automatic = reply.get("response_source") == "automatic"
    return Replied(granted, permanent=reply.get("is_permanent") is True, automatic=automatic)


def _ended(call: Mapping[str, Any], payload: Mapping[str, Any]) -> Terminated:
    errors = [*_list(call.get("errors")), *_list(payload.get("errors"))]
    error = next((one for one in errors if isinstance(one, dict)), {})
    code = error.get("code")
    data = error.get("error_data")
    words = (_object(data).get("details") or data, error.get("message"), error.get("title"))
    reason = next((word for word in words if isinstance(word, str) and word), "")
    return Terminated(
        picked_up=call.get("start_time") is not None or call.get("duration") is not None,
        failed=str(call.get("status")).upper() == "FAILED" or bool(error),
        reason=reason[:300],
        code=code if isinstance(code, int) else None,
    )


def _is_inbound(call: Mapping[str, Any], session: Mapping[str, Any]) -> bool:
    direction = call.get("direction")
    if direction in ("USER_INITIATED", "BUSINESS_INITIATED"):
        return bool(direction == "USER_INITIATED")
    return session.get("sdp_type") != "answer"


def _caller(
    call: Mapping[str, Any], contact: Mapping[str, Any], business_number: str
) -> tuple[str | None, str | None]:
    ends = dict(call)
    if _digits(call.get("from")) == _digits(business_number):
        ends["from"] = call.get("to")
        ends["from_user_id"] = call.get("to_user_id") or call.get("from_user_id")
    return person(ends, dict(contact))


def _callback(told: Mapping[str, Any]) -> str | None:
    data = told.get("biz_opaque_callback_data")
    return data if isinstance(data, str) and data else None


def _digits(value: object) -> str:
    return "".join(char for char in str(value) if char.isascii() and char.isdigit())


def _seconds(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
