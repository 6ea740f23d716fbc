"""How the emulator behaves: every value has Meta's behaviour as its default, as far as that is known."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

META_RETRIES: Final = (0.0, 5.0, 30.0, 60.0, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR) + (12 * HOUR,) * 13
"""At once, then with falling frequency, for 7 days in all (Meta: Webhooks, "Delivery")."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=0)]


class Config(BaseModel):
    """The configuration that `PATCH /control/config` changes while the emulator runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sent_ms: Milliseconds = Field(10, description="From acceptance to `sent`.")
    delivered_ms: Milliseconds = Field(30, description="From acceptance to `delivered`, if the person is online.")
    read_ms: Milliseconds = Field(200, description="From delivery to `read`, for people who read automatically.")
    webhook_retry_schedule: tuple[Seconds, ...] = Field(
        META_RETRIES, description="Seconds between the attempts of a webhook; after the last it is given up."
    )
    webhook_timeout_seconds: Annotated[float, Field(gt=0)] = Field(
        20.0, description="Real time that a callback has to answer."
    )
    webhook_concurrency: Annotated[int, Field(ge=1, le=1000)] = Field(
        100, description="Webhooks that are under way at once."
    )
    webhook_retry_fan_out: bool = Field(
        True, description="If one of several subscribed apps fails, the retry goes to all of them, as at Meta."
    )
    payload_version: Annotated[int, Field(ge=17, le=99)] = Field(
        24, description="Graph version that shapes webhooks: up to 23 statuses carry `conversation`."
    )
    limits: bool = Field(True, description="Whether throughput, pair, call and messaging limits are enforced.")
    throughput_per_second: Annotated[int, Field(ge=1)] = Field(80, description="Messages of a number, in and out.")
    pair_interval_seconds: Seconds = Field(6.0, description="What each message to one person costs.")
    pair_burst: Annotated[int, Field(ge=1)] = Field(45, description="Messages that are lent to one pair.")
    closed_window: Literal["fail", "refuse"] = Field(
        "fail",
        description="Free-form messages outside the 24 hours: `fail` accepts and reports 131047 by status, "
        "`refuse` answers 131047 at once. Both were seen at Meta.",
    )
    typing_seconds: Seconds = Field(25.0, description="Life of the typing indicator.")
    media_url_seconds: Seconds = Field(300.0, description="Life of a media URL.")
    template_review_seconds: Seconds = Field(5.0, description="From creation to the verdict of the review.")
    template_verdict: Literal["APPROVED", "REJECTED", "NONE"] = Field(
        "APPROVED", description="Verdict of the automatic review; `NONE` leaves it to the control API."
    )
    user_ids: bool = Field(True, description="Whether webhooks and answers carry business-scoped user ids.")
    status_contacts: bool = Field(True, description="Whether statuses carry `contacts`, as since 2026.")
    calls_per_hour: Annotated[int, Field(ge=1)] = Field(
        5000, description="Management calls of an app on one WABA (Meta: rate limits, active WABA)."
    )


class ConfigPatch(Config):
    """Any of the fields of `Config`; what is left out stays."""
