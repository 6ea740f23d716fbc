"""The calling settings of a number (Meta: Configure call settings): what is taken, and what follows from it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number

Switch = Literal["ENABLED", "DISABLED"]
_Time = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3])[0-5]\d$")]
_Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
_DAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_TOLD: Final = ("status", "call_icon_visibility", "callback_permission_status", "srtp_key_exchange_protocol", "sip")
"""What is told by ``account_settings_update`` when it changes."""


class _Part(BaseModel, extra="forbid"):
    """A part of the settings: keys that Meta does not name are refused."""


class _Icons(_Part):
    restrict_to_user_countries: list[_Country] = []


class _Hours(_Part):
    day_of_week: Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
    open_time: _Time
    close_time: _Time

    @model_validator(mode="after")
    def _opens_first(self) -> _Hours:
        if self.open_time >= self.close_time:
            raise ValueError("open_time must be before close_time")
        return self


class _Holiday(_Part):
    date: date
    start_time: _Time
    end_time: _Time

    @model_validator(mode="after")
    def _starts_first(self) -> _Holiday:
        if self.start_time >= self.end_time:
            raise ValueError("start_time must be before end_time")
        return self


class _CallHours(_Part):
    status: Switch
    timezone_id: str = "UTC"
    weekly_operating_hours: list[_Hours] = []
    holiday_schedule: list[_Holiday] = Field(default=[], max_length=20)

    @model_validator(mode="after")
    def _fits(self) -> _CallHours:
        _zone(self.timezone_id)
        if self.status == "ENABLED" and not self.weekly_operating_hours:
            raise ValueError("weekly_operating_hours must not be empty")
        for day in _DAYS:
            spans = sorted((h.open_time, h.close_time) for h in self.weekly_operating_hours if h.day_of_week == day)
            if len(spans) > 2:
                raise ValueError(f"{day} has more than two spans")
            if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
                raise ValueError(f"the spans of {day} overlap")
        return self


class _Audio(_Part):
    additional_codecs: list[Literal["PCMA", "PCMU"]] = []


class _Greeting(_Part):
    announcement_media_id: str
    timeout_seconds: int = Field(0, ge=0, le=30)


class _Voicemail(_Part):
    status: Switch
    triggers: list[Literal["REJECT", "TIMEOUT"]] = []
    audio: dict[Literal["default"], _Greeting] = {}


class _SipServer(_Part):
    hostname: str = Field(min_length=1)
    port: int = Field(5061, ge=1, le=65_535)
    request_uri_user_params: dict[str, str] = {}


class _Sip(_Part):
    status: Switch
    servers: list[_SipServer] = Field(default=[], max_length=1)
    webhook_delivery: Switch = "DISABLED"

    @model_validator(mode="after")
    def _names_a_server(self) -> _Sip:
        if self.status == "ENABLED" and not self.servers:
            raise ValueError("a number in SIP mode needs a server")
        return self


class _Calling(_Part):
    status: Switch | None = None
    call_icon_visibility: Literal["DEFAULT", "DISABLE_ALL"] | None = None
    call_icons: _Icons | None = None
    call_hours: _CallHours | None = None
    callback_permission_status: Switch | None = None
    srtp_key_exchange_protocol: Literal["DTLS"] | None = None
    audio: _Audio | None = None
    voicemail: _Voicemail | None = None
    sip: _Sip | None = None


def calling(number: Number) -> dict[str, Any]:
    """The settings of a number; Meta's default is that it takes no calls."""
    return {"status": "DISABLED", **(number.settings.get("calling") or {})}


def g711(number: Number) -> tuple[str, ...]:
    """The codecs that a number takes besides Opus."""
    return tuple((calling(number).get("audio") or {}).get("additional_codecs") or ())


def change_calling(number: Number, body: object, now: float, has_media: Callable[[str], bool]) -> bool:
    """Set what ``body`` names; the rest stays. Returns whether Meta tells of it. Raises `MetaError` 100.

    ``has_media`` tells whether the number has a file of this id, as the greeting of voicemail must be.
    """
    try:
        wanted = _Calling.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("calling", *first["loc"]))
        raise MetaError(100, f"{place}: {first['msg']}") from error
    for holiday in wanted.call_hours.holiday_schedule if wanted.call_hours else []:
        if holiday.date < datetime.fromtimestamp(now, UTC).date():
            raise MetaError(100, f"calling.call_hours.holiday_schedule: {holiday.date} is over.")
    for greeting in wanted.voicemail.audio.values() if wanted.voicemail else []:
        if not has_media(greeting.announcement_media_id):
            raise MetaError(100, "calling.voicemail: announcement_media_id is no file of this number.")
    changes = wanted.model_dump(mode="json", exclude_none=True)
    before = calling(number)
    after = {**before, **changes}
    if _is_on(after, "voicemail") and _is_on(after, "call_hours"):
        raise MetaError(100, "calling.voicemail: switch call_hours off first.")
    number.settings["calling"] = after
    return any(before.get(key) != after.get(key) for key in _TOLD)


def shown_calling(number: Number, *, with_credentials: bool) -> dict[str, Any]:
    """As ``GET /settings`` shows it; the password of SIP is made when it is first asked for."""
    shown = calling(number)
    if with_credentials and (shown.get("sip") or {}).get("servers"):
        password = number.extra.setdefault("sip_password", secrets.token_urlsafe(16))
        servers = [{**server, "sip_user_password": password} for server in shown["sip"]["servers"]]
        shown["sip"] = {**shown["sip"], "servers": servers}
    return shown


def may_use_graph(number: Number) -> None:
    """Raises `MetaError` 133010 or 138000 where there are no calls, and 131055 where they go by SIP."""
    settings = calling(number)
    if not number.registered:
        raise MetaError(133010)
    if number.coexists:
        raise MetaError(138000, "A number that the Business app uses, too, has no calls by the API.")
    if settings["status"] != "ENABLED":
        raise MetaError(138000, "Calling is not enabled for this number.")
    if _is_on(settings, "sip"):
        raise MetaError(131055, "The number is in SIP mode.")


def why_closed(number: Number, now: float) -> str | None:
    """Why a person can't call the number now; None when they can."""
    settings = calling(number)
    if settings["status"] != "ENABLED" or not number.registered:
        return "The business takes no calls."
    if number.coexists:
        return "The business takes calls in its own app, which is not emulated."
    if _is_on(settings, "sip"):
        return "The business takes calls by SIP, which is not emulated."
    hours = settings.get("call_hours")
    if hours is None or hours["status"] != "ENABLED" or _is_open(hours, now):
        return None
    return "The business takes no calls at this hour."


def _is_open(hours: dict[str, Any], now: float) -> bool:
    moment = datetime.fromtimestamp(now, _zone(hours["timezone_id"]))
    time, day = f"{moment:%H%M}", _DAYS[moment.weekday()]
    for holiday in hours["holiday_schedule"]:
        if holiday["date"] == f"{moment:%Y-%m-%d}" and holiday["start_time"] <= time <= holiday["end_time"]:
            return False
    return any(
        span["day_of_week"] == day and span["open_time"] <= time < span["close_time"]
        for span in hours["weekly_operating_hours"]
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{re.sub(r'[^ -~]', '?', name)} is no time zone") from error


def _is_on(settings: dict[str, Any], part: str) -> bool:
    return bool((settings.get(part) or {}).get("status") == "ENABLED")
