"""What of the emulator's behaviour can be set, at start or by ``PATCH /control/config``."""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_MB = 1024 * 1024

Tier = Literal["TIER_250", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED"]
PORTFOLIO_LIMITS: Final[dict[Tier, float]] = {
    "TIER_250": 250,
    "TIER_2K": 2_000,
    "TIER_10K": 10_000,
    "TIER_100K": 100_000,
    "TIER_UNLIMITED": math.inf,
}
"""People whom the numbers of a portfolio may write to outside of the window in 24 hours (Meta: Messaging limits)."""


class Config(BaseModel):
    """Delays are in seconds of the emulator's clock, limits as Meta publishes them."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    webhook_timeout: float = Field(20.0, gt=0, description="Time a callback has to answer (Meta: calling FAQ).")
    webhook_retry_schedule: list[float] = Field(
        default=[1, 5, 30, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 6 * _HOUR, _DAY, _DAY, _DAY, _DAY, _DAY, _DAY],
        description="Waits between attempts of a delivery; after the last one it is given up (Meta: up to 7 days).",
    )
    call_webhook_retry_schedule: list[float] = Field(
        default=[1, 5, 30, _MINUTE],
        description="The same of what is told of calls. Meta: it ends sooner than of messages, and later than the "
        "patience of a caller.",
    )
    webhook_concurrency: int = Field(32, ge=1, description="Deliveries under way at once.")
    payload_version: Literal["v23", "v24"] = Field("v24", description="Whose shape webhooks have.")
    accept_delay: float = Field(0.0, ge=0, description="Time before the Graph API answers a send.")
    sent_delay: float = Field(0.02, ge=0, description="From acceptance to the status `sent`.")
    delivered_delay: float = Field(0.03, ge=0, description="From there to the person's phone.")
    read_delay: float = Field(0.5, ge=0, description="From there to being read, by people who read by themselves.")
    closed_window: Literal["refuse", "status"] = Field(
        "status", description="Free-form outside the window: refused at once, or accepted and failed by status."
    )
    enforce_window: bool = Field(default=True, description="Whether the 24-hour window is enforced.")
    enforce_throughput: bool = Field(default=True, description="Whether the rate of a number is enforced.")
    throughput_per_second: int = Field(80, ge=1, description="Messages of a number in a second, in and out.")
    high_throughput_per_second: int = Field(1_000, ge=1, description="The same of a number that was upgraded.")
    coexistence_throughput_per_second: int = Field(
        20, ge=1, description="The same of a number that the Business app uses, too."
    )
    throughput_upgrade_people: int = Field(
        100_000,
        ge=1,
        description="People written to outside of the window in 24 hours that earn a number its upgrade.",
    )
    throughput_upgrade_seconds: float = Field(
        _MINUTE, ge=0, description="How long sends are refused by 131057 during the upgrade (Meta: about a minute)."
    )
    enforce_pair_rate: bool = Field(default=True, description="Whether the rate of a pair is enforced.")
    pair_interval: float = Field(6.0, gt=0, description="Steady time between messages to one person.")
    pair_burst: int = Field(45, ge=1, description="Messages lent at once, repaid by silence.")
    messaging_limit: Tier = Field("TIER_UNLIMITED", description="People to whom new conversations go in 24 hours.")
    messaging_limit_rise_delay: float = Field(
        6 * _HOUR, ge=0, description="From half of the limit being used to the next one (Meta: within 6 hours)."
    )
    us_marketing: bool = Field(
        default=False,
        description="Whether marketing reaches numbers of the United States (Meta: not since 1 April 2025, 131049).",
    )
    management_calls_per_hour: int = Field(
        5_000, ge=1, description="Calls on an account, its templates and numbers; 200 if no number is registered."
    )
    fetch_links: Literal["loopback", "all"] = Field(
        "loopback", description="Which links of media are really fetched; the others are taken as they are."
    )
    price_rules: Literal["2025-07", "2026-10"] = Field(
        "2026-10", description="Since when the prices hold: since October 2026 service messages cost as well."
    )
    free_service_messages: int = Field(1_000, ge=0, description="Service messages of a number that a month has free.")
    call_accept_seconds: float = Field(
        45.0, gt=0, description="Time a business has to accept a call (Meta: 30-60 s)."
    )
    call_connect_delay: float = Field(
        1.0, ge=0, description="From a call of the business to its `connect` webhook (Meta: about a second)."
    )
    call_ring_seconds: float = Field(60.0, gt=0, description="How long a person's phone rings.")
    call_answer_delay: float = Field(0.5, ge=0, description="After which people who answer by themselves do.")
    call_first_media_seconds: float = Field(20.0, gt=0, description="Wait for the first sound of the business.")
    call_media_seconds: float = Field(30.0, gt=0, description="Silence on the wire after which a call is ended.")
    call_concurrency: int = Field(1_000, ge=1, description="Calls of a number at once.")
    call_attempts_per_day: int = Field(10_000, ge=1, description="Calls that a number may try in 24 hours.")
    call_permission_queries_per_second: int = Field(
        5, ge=1, description="Queries of call permissions by a number (Meta: 5, by another page 100)."
    )
    call_files_delay: float = Field(
        1.0, ge=0, description="From the end of a call to its recording and transcript (Meta: under a minute)."
    )
    call_early_media: bool = Field(
        default=False, description="Whether a person who is called is heard before they accept."
    )
    call_answer_setup: Literal["active", "passive", "actpass"] = Field(
        "active", description="DTLS role in the answer to a call of the business."
    )
    review_delay: float = Field(0.5, ge=0, description="Time until a new template is approved.")
    review_verdict: Literal["APPROVED", "REJECTED", "PENDING"] = Field("APPROVED", description="What review says.")
    kept_records: int = Field(
        50_000, ge=1, description="Graph calls and messages delivered that `/control` shows, of each kind the newest."
    )
    kept_webhook_bytes: int = Field(
        64 * _MB, ge=0, description="Size of all webhooks that `/control/webhooks` shows, the newest ones."
    )
    kept_media_bytes: int = Field(
        512 * _MB,
        ge=0,
        description="Size of all files; when it is reached, the oldest are forgotten before their time.",
    )
    kept_calls: int = Field(1_000, ge=1, description="Calls that are over and still shown, the newest ones.")
    kept_sound_seconds: float = Field(
        7_200.0, ge=0, description="Sound of calls that are over, in all: of the newest ones, 2 MB a minute."
    )
    call_sound_seconds: float = Field(600.0, ge=0, description="Sound that is kept of one call, heard or recorded.")
    templates_per_account: int = Field(250, ge=0, description="Templates of an account (Meta: 6000 when verified).")
    template_creations_per_hour: int = Field(100, ge=1, description="New templates of an account in an hour.")
    quality_sample: int = Field(10, ge=1, description="Messages of a template in 7 days from which it is rated.")
    quality_yellow_share: float = Field(0.1, gt=0, le=1, description="Share of unwanted ones that makes it YELLOW.")
    quality_red_share: float = Field(0.2, gt=0, le=1, description="Share that makes it RED, and pauses it.")
