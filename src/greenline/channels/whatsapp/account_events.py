"""Applies what Meta tells of accounts, numbers and templates (Meta: Webhook reference)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.account_findings import CALLS_OFF, calling_findings, limit_findings
from greenline.store.pool import Connection
from greenline.store.sql import load_sql

log = structlog.get_logger(__name__)

_LOST: Final = {"PARTNER_REMOVED", "PARTNER_APP_UNINSTALLED", "ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED"}
_RESTRICTED: Final = {"ACCOUNT_VIOLATION", "ACCOUNT_RESTRICTION", "DISABLED_UPDATE"}
ACCESS_LOST: Final = "access_lost"
RESTRICTED: Final = "account_restricted"
IN_REVIEW: Final = "account_review"
ALERT: Final = "account_alert"
SECURITY: Final = "security"
TROUBLE: Final = "meta_error"

_sql = load_sql(__package__, "account_events.sql")


async def apply_account_event(
    connection: Connection, workspace_id: str | None, kind: str, payload: dict[str, Any]
) -> None:
    """Apply an event of kind ``account``, ``number``, ``template`` or ``errors``; its payload has no unstorable text.

    ``workspace_id`` is None for most: they name a business account, whose numbers may be in several workspaces.
    Applying one twice changes nothing more.
    """
    value = payload.get("value")
    account_id = payload.get("business_account_id")
    if not isinstance(value, dict):
        return
    if kind == "template":
        name = value.get("message_template_name")
        await connection.execute(_sql["forget_templates"], account_id, name if isinstance(name, str) else None)
    elif kind == "errors":
        text = f"Meta reports an error: {error_text(value)}."
        await connection.execute(_sql["add_finding"], account_id, None, TROUBLE, text)
    elif apply := _APPLIED.get(str(payload.get("field"))):
        await apply(connection, account_id, value)
    else:
        log.info("account.event", field=payload.get("field"), workspace_id=workspace_id, account_id=account_id)


async def _account_update(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    event = str(value.get("event"))
    about = value.get("waba_info")
    if isinstance(about, dict) and isinstance(about.get("waba_id"), str):
        account_id = about["waba_id"]  # events of partners carry another id in the entry
    log.warning("account.update", business_account_id=account_id, meta_event=event)
    if event in _LOST:
        text = f"Meta reports {event}: the app has no access to the business account. Import the number again."
        await connection.execute(_sql["lose_access"], account_id, ACCESS_LOST, text)
    elif event == "ACCOUNT_RECONNECTED":
        await connection.execute(_sql["regain_access"], account_id, [ACCESS_LOST, RESTRICTED])
    elif event == "DISABLED_UPDATE" and _ban_state(value) == "REINSTATE":
        await connection.execute(_sql["drop_finding"], account_id, None, RESTRICTED)
    elif event in _RESTRICTED:
        text = f"Meta reports {event}{_reason(value)}. See the account's status in WhatsApp Manager."
        await connection.execute(_sql["add_finding"], account_id, None, RESTRICTED, text)


async def _review_update(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    decision = value.get("decision")
    if decision == "APPROVED":
        await connection.execute(_sql["drop_finding"], account_id, None, IN_REVIEW)
    elif isinstance(decision, str):
        text = f"Meta's review of the business account: {decision}. See its status in WhatsApp Manager."
        await connection.execute(_sql["add_finding"], account_id, None, IN_REVIEW, text)


async def _alert(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    info = value.get("alert_info")
    alert = info if isinstance(info, dict) else value
    kind, about = alert.get("alert_type"), alert.get("alert_description")
    if alert.get("alert_status") == "NONE" or not isinstance(kind, str):
        return
    text = f"Meta's alert {kind}" + (f": {about}" if isinstance(about, str) else "") + "."
    await connection.execute(_sql["add_finding"], account_id, None, ALERT, text)


async def _security(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    digits, event = _digits(value), value.get("event")
    if digits and isinstance(event, str):
        text = f"Meta reports {event}: the PIN of the number was changed or asked to be. Make sure it was you."
        await connection.execute(_sql["add_finding"], account_id, digits, SECURITY, text)


async def _capability_update(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    names = ("max_daily_conversations_per_business", "max_daily_conversation_per_phone")
    tier = next((value[name] for name in names if name in value), None)
    if tier is None:
        return
    if type(tier) is int:
        tier = f"TIER_{tier}" if tier > 0 else "TIER_UNLIMITED"
    await connection.execute(_sql["drop_finding"], account_id, None, "messaging_limit")
    for finding in limit_findings(tier):
        await connection.execute(_sql["add_finding"], account_id, None, finding.code, finding.message)


async def _settings_update(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    """Changes of the number's calling settings, ours too. Meta tells nothing of others."""
    settings = value.get("phone_number_settings")
    if not isinstance(settings, dict):
        return
    number, calling = settings.get("phone_number_id"), settings.get("calling")
    if not isinstance(number, str) or not isinstance(calling, dict):
        return
    await connection.execute(_sql["drop_finding"], account_id, number, CALLS_OFF)
    for finding in calling_findings(calling):
        await connection.execute(_sql["add_finding"], account_id, number, finding.code, finding.message)


async def _name_update(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    digits, name = _digits(value), value.get("requested_verified_name")
    decision, code = value.get("decision"), "display_name_not_approved"
    if not digits:
        return
    if decision == "APPROVED":
        await connection.execute(_sql["drop_finding"], account_id, digits, code)
        if isinstance(name, str):
            await connection.execute(_sql["rename"], account_id, digits, name)
    else:
        text = f"The display name {name!r} is {decision}: {value.get('rejection_reason') or 'no reason given'}."
        await connection.execute(_sql["add_finding"], account_id, digits, code, text)


async def _quality_update(connection: Connection, account_id: object, value: dict[str, Any]) -> None:
    digits, event = _digits(value), value.get("event")
    if not digits:
        return
    if event == "FLAGGED":
        text = "Meta has flagged the number for low quality. Send less, and better."
        await connection.execute(_sql["add_finding"], account_id, digits, "quality_low", text)
    elif event == "UNFLAGGED":
        await connection.execute(_sql["drop_finding"], account_id, digits, "quality_low")
    elif event == "THROUGHPUT_UPGRADE":
        await connection.execute(_sql["upgrade"], account_id, digits)
    tier = value.get("max_daily_conversations_per_business") or value.get("current_limit")
    if tier is not None:
        await connection.execute(_sql["drop_finding"], account_id, digits, "messaging_limit")
    for finding in limit_findings(tier):
        await connection.execute(_sql["add_finding"], account_id, digits, finding.code, finding.message)


def _digits(value: dict[str, Any]) -> str:
    return re.sub(r"[^0-9]", "", str(value.get("display_phone_number") or ""))


def _reason(value: dict[str, Any]) -> str:
    violation = value.get("violation_info")
    restrictions = value.get("restriction_info")
    kinds = [violation.get("violation_type")] if isinstance(violation, dict) else []
    if isinstance(restrictions, list):
        kinds += [item.get("restriction_type") for item in restrictions if isinstance(item, dict)]
    named = ", ".join(kind for kind in kinds if isinstance(kind, str))
    return f" ({named})" if named else ""


def _ban_state(value: dict[str, Any]) -> object:
    ban = value.get("ban_info")
    states = [ban.get("waba_ban_state")] if isinstance(ban, dict) else []
    states = states[0] if states and isinstance(states[0], list) else states  # Meta writes a text or a list of one
    return states[0] if states else None


def error_text(error: Mapping[str, Any]) -> str:
    """An error of Meta's in a webhook, in one line, with its code."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    named = [text for text in (error.get("title") or error.get("message"), details) if isinstance(text, str) and text]
    told = ": ".join(dict.fromkeys(text.rstrip(".") for text in named)) or "without an explanation"
    return f"{told} (code {error.get('code')})"


_APPLIED: Final[Mapping[str, Callable[[Connection, object, dict[str, Any]], Awaitable[None]]]] = {
    "account_update": _account_update,
    "account_review_update": _review_update,
    "account_alerts": _alert,
    "account_settings_update": _settings_update,
    "security": _security,
    "business_capability_update": _capability_update,
    "phone_number_name_update": _name_update,
    "phone_number_quality_update": _quality_update,
}
"""By Meta's field."""
