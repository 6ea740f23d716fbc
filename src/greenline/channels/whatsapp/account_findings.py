"""What is missing before a number can receive, answer and send. Pure: from Meta's answers to sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from greenline.channels.whatsapp.inbound import UNKNOWN_TIME, read_timestamp

WEBHOOK_PATH: Final = "/webhooks/whatsapp"

PERMISSION_MISSING: Final = "permission_missing"
TOKEN_EXPIRED: Final = "token_expired"  # noqa: S105 - the code of a finding
CALLS_OFF: Final = "calls_off"
NEEDED_SCOPES: Final = ("whatsapp_business_management", "whatsapp_business_messaging")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an operator should know or do."""

    code: str
    message: str


def number_findings(number: Mapping[str, Any]) -> Iterator[Finding]:
    """Of the number's fields at Meta. Fields that a Graph version lacks say nothing."""
    status, platform = number.get("status"), number.get("platform_type")
    if (status or "CONNECTED") != "CONNECTED" or (platform or "CLOUD_API") != "CLOUD_API":
        yield Finding(
            "number_not_connected",
            f"The number is {status or 'not connected'} on {platform or 'the Cloud API'}: it can't send or receive. "
            "Register it with its PIN, or see its status in WhatsApp Manager.",
        )
    if (name_status := number.get("name_status")) in ("DECLINED", "EXPIRED", "PENDING_REVIEW"):
        yield Finding("display_name_not_approved", f"The display name is {name_status}. Finish its approval.")
    if number.get("quality_rating") == "RED":
        yield Finding("quality_low", "People block or report the number: Meta may limit it. Send less, and better.")
    if number.get("account_mode") == "SANDBOX":
        yield Finding("test_number", "A test number sends only to the recipients listed in the app dashboard.")
    yield from limit_findings(number.get("whatsapp_business_manager_messaging_limit"))
    yield from health_findings(number.get("health_status"))


def limit_findings(tier: object) -> Iterator[Finding]:
    """Of the messaging limit of the portfolio: ``TIER_250`` ... ``TIER_UNLIMITED``."""
    if not isinstance(tier, str) or not tier.startswith("TIER_") or tier == "TIER_UNLIMITED":
        return
    people = tier.removeprefix("TIER_").replace("K", ",000")
    yield Finding(
        "messaging_limit",
        f"Outside of the 24-hour window at most {people} different people can be messaged in 24 hours.",
    )


def health_findings(health: object) -> Iterator[Finding]:
    """Of ``health_status``: why sending is limited or blocked, of each thing that stands in the way."""
    if not isinstance(health, Mapping) or health.get("can_send_message") in (None, "AVAILABLE"):
        return
    reasons = [reason for entity in _objects(health.get("entities")) for reason in _entity_reasons(entity)]
    blocked = health.get("can_send_message") == "BLOCKED"
    text = " ".join(reasons) or "Meta gives no reason. See the account's status in WhatsApp Manager."
    yield Finding(
        "sending_blocked" if blocked else "sending_limited",
        f"Meta {'blocks' if blocked else 'limits'} sending. {text}",
    )


def calling_findings(calling: Mapping[str, Any]) -> Iterator[Finding]:
    """Of the calling settings: what keeps calls from reaching the server, or keeps it from making any."""
    sip = calling.get("sip")
    if calling.get("status") == "DISABLED":
        yield Finding(
            CALLS_OFF,
            "Calling is switched off for the number: nobody can call it, and it can call nobody. "
            "If that was not intended, switch it on in WhatsApp Manager.",
        )
    elif isinstance(sip, Mapping) and sip.get("status") == "ENABLED":
        yield Finding(
            CALLS_OFF, "The number takes its calls over SIP, not here. Switch SIP off in its calling settings."
        )
    elif calling.get("srtp_key_exchange_protocol") == "SDES":
        yield Finding(
            CALLS_OFF,
            "The number's calls exchange keys by SDES, which this server does not speak. "
            "Set srtp_key_exchange_protocol to DTLS in its calling settings.",
        )


def calls_restricted(calling: Mapping[str, Any], now: datetime) -> str | None:
    """Why Meta lets the number make no calls at ``now``, though its settings allow it; of the calling settings."""
    restrictions = calling.get("restrictions")
    for one in _objects(restrictions.get("restrictions_list")) if isinstance(restrictions, Mapping) else ():
        ends = read_timestamp(one.get("expiration"))
        if one.get("type") != "RESTRICTED_BUSINESS_INITIATED_CALLING" or UNKNOWN_TIME < ends <= now:
            continue
        until = "" if ends == UNKNOWN_TIME else f" until {ends:%Y-%m-%d %H:%M} UTC"
        why = one.get("reason")
        return f"Meta lets the number make no calls{until}{f': {why}' if isinstance(why, str) and why else ''}."
    return None


def token_findings(token: Mapping[str, Any], now: datetime) -> Iterator[Finding]:
    """Of ``debug_token``."""
    expires = token.get("expires_at")
    if isinstance(expires, int) and 0 < expires < 4_102_444_800:  # the year 2100: what is later is no moment
        day = datetime.fromtimestamp(expires, UTC)
        state = "expired on" if day <= now else "expires on"
        yield Finding(
            "token_expires", f"The token {state} {day:%Y-%m-%d %H:%M} UTC. Import the number with a new one."
        )
    scopes = token.get("scopes")
    missing = [scope for scope in NEEDED_SCOPES if scope not in scopes] if isinstance(scopes, list) else []
    if missing:
        yield Finding(PERMISSION_MISSING, f"The token lacks {' and '.join(missing)}. Make one that has them.")


def webhook_findings(number: Mapping[str, Any], public_url: str | None, *, has_app_secret: bool) -> Iterator[Finding]:
    """Where Meta sends the number's webhooks, as far as it tells, and whether this server can take them."""
    if not has_app_secret:
        yield Finding(
            "app_secret_missing",
            "Webhooks are refused: set GREENLINE_META_APP_SECRET, with which Meta signs them.",
        )
    places = number.get("webhook_configuration")
    if not isinstance(places, Mapping):
        return
    # Meta looks at the number first, then at the business account, then at the app.
    urls = (places.get(key) for key in ("phone_number", "whatsapp_business_account", "application"))
    url = next((url for url in urls if isinstance(url, str) and url), None)
    if url is None:
        yield Finding("callback_missing", f"The app has no callback URL. Set it to this server's {WEBHOOK_PATH}.")
    elif public_url and url.rstrip("/") != f"{public_url.rstrip('/')}{WEBHOOK_PATH}":
        yield Finding("callback_elsewhere", f"Meta sends the webhooks to {url}, which is not this server's address.")


def _entity_reasons(entity: Mapping[str, Any]) -> Iterator[str]:
    if entity.get("can_send_message") in (None, "AVAILABLE"):
        return
    name = str(entity.get("entity_type", "")).replace("_", " ").lower()
    for error in _objects(entity.get("errors")):
        parts = (error.get("error_description"), error.get("possible_solution"))
        yield f"{name}: {' '.join(part.strip() for part in parts if isinstance(part, str))}"
    infos = entity.get("additional_info")
    for info in infos if isinstance(infos, list) else ():
        yield f"{name}: {info}"


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
