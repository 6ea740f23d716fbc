"""What a message costs (Meta: Pricing). Pure but for the count of a number's service messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from greenline.emulator.config import Config
from greenline.emulator.world import Chat, Message

ANSWER_SECONDS: Final = 24 * 3600.0
FREE_ENTRY_SECONDS: Final = 72 * 3600.0


def settle(chat: Chat, message: Message, config: Config, now: float) -> dict[str, Any]:
    """``pricing`` of a message that leaves now. The first answer to an advertisement opens the free window."""
    if chat.referred_at is not None and now - chat.referred_at <= ANSWER_SECONDS:
        chat.free_until = now + FREE_ENTRY_SECONDS
    chat.referred_at = None
    if chat.free_until > now:
        return _price("free_entry_point", "referral_conversion")
    if message.category == "service":
        return _price(_service(chat, config, now), "service")
    in_window = message.category == "utility" and chat.window_until > now
    free = in_window and config.price_rules == "2025-07"
    return _price("free_customer_service" if free else "regular", message.category)


def conversation(chat: Chat, message: Message, state: str, config: Config, now: float) -> dict[str, Any] | None:
    """``conversation`` of a status: of each message up to v23, later only in the free-entry-point window."""
    free = message.price.get("type") == "free_entry_point"
    if not free and config.payload_version != "v23":
        return None
    shown: dict[str, Any] = {"id": message.id[6:38], "origin": {"type": message.price["category"]}}
    if state == "sent":
        shown["expiration_timestamp"] = str(int(chat.free_until if free else now + ANSWER_SECONDS))
    return shown


def _service(chat: Chat, config: Config, now: float) -> str:
    """Free until October 2026, and then as many of a number as each month has free (months of UTC)."""
    if config.price_rules == "2025-07":
        return "free_customer_service"
    month = datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
    known, count = chat.number.service_messages
    count = count + 1 if known == month else 1
    chat.number.service_messages = month, count
    return "free_customer_service" if count <= config.free_service_messages else "regular"


def _price(kind: str, category: str) -> dict[str, Any]:
    return {"billable": kind == "regular", "pricing_model": "PMP", "type": kind, "category": category}
