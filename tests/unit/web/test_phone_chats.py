"""Which numbers a person can write to, and how their chats are listed."""

from datetime import UTC
from typing import Any

from greenline.web.phone_chats import Business, _last, _unread, address, businesses

STATE: dict[str, Any] = {
    "accounts": [{"id": "w1", "name": "Fern & Field"}],
    "numbers": [
        {"id": "1", "display": "+1 555-0100", "account_id": "w1"},
        {"id": "2", "display": "+1 555-0200", "account_id": "gone"},
    ],
}


def message(direction: str, status: str, body: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "reactions": [],
        "context": None,
        "rendered": None,
        "asks_to_call": False,
        "read_by_business": False,
    }
    return {**shown, "id": body, "direction": direction, "status": status, "type": "text", "text": {"body": body},
            "timestamp": 1_767_600_000.0}  # fmt: skip


def test_every_number_is_one_to_write_to() -> None:
    first, second = businesses(STATE)
    assert first == Business("1", "Fern & Field", "+1 555-0100")
    assert (first.wa_id, second.name) == ("15550100", "Business")
    assert address("person_1", "2") == "/phone?person=person_1&number=2"


def test_a_chat_shows_its_last_message_and_what_is_unread() -> None:
    assert _last([], UTC) == "no messages yet"
    chat = [message("in", "sent", "Hi"), message("out", "delivered", "Good\nmorning"), message("out", "read", "x")]
    assert _unread(chat) == 1
    assert _last(chat[:2], UTC) == "08:00 Good morning"
