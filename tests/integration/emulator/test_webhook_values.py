"""What stands in webhooks about messages and people, on the wire."""

import base64
from typing import Any

from support.meta import Emulator, Person
from support.receiver import Receiver, graph, send
from support.wait import until

TEXT = {"type": "text", "text": {"body": "Hello"}}


def contacts_by_state(told: Receiver) -> dict[str, Any]:
    """What each status of a message says of the person, None where it names nobody."""
    values = [value for _, value in told.changes if "statuses" in value]
    return {value["statuses"][0]["status"]: value.get("contacts") for value in values}


async def test_a_status_names_the_person_and_only_later_ones_their_username(meta: Emulator, told: Receiver) -> None:
    made = await meta.call("POST", "/people", name="Ann", phone="15550100001", username="ann.w")
    ann = Person(made["person_id"], made["wa_id"])
    await meta.say(ann, "Hi")
    await send(meta, ann, TEXT)
    await told.statuses(2)
    await meta.call("POST", f"/people/{ann.person_id}/read", phone_number_id=meta.number)
    await told.statuses(3)
    ids = {"wa_id": "15550100001", "user_id": made["user_id"]}
    named = [{"profile": {"name": "Ann", "username": "ann.w"}, **ids}]
    sent = [{"profile": {"name": "Ann"}, **ids}]
    assert contacts_by_state(told) == {"sent": sent, "delivered": named, "read": named}


async def test_a_status_of_a_person_without_a_number_names_them_by_their_id(meta: Emulator, told: Receiver) -> None:
    made = await meta.call("POST", "/people", name="Ann", hides_phone=True, parent_user_id="US.ENT.77")
    ann = Person(made["person_id"], made["wa_id"])
    await meta.say(ann, "Hi")
    await send(meta, ann, TEXT)
    await told.statuses(1)
    contact = {"profile": {"name": "Ann"}, "user_id": made["user_id"], "parent_user_id": "US.ENT.77"}
    assert contacts_by_state(told)["sent"] == [contact]


async def test_a_failed_status_names_nobody(meta: Emulator, told: Receiver, ann: Person) -> None:
    await send(meta, ann, TEXT)
    await told.statuses(1)
    assert contacts_by_state(told) == {"failed": None}


async def test_a_file_comes_with_an_address_that_wants_the_token_and_dies(
    meta: Emulator, told: Receiver, ann: Person
) -> None:
    file = {"data_base64": base64.b64encode(b"Hello").decode(), "mime_type": "text/plain", "filename": "a.txt"}
    body = {"phone_number_id": meta.number, "type": "document", "file": file}
    await meta.call("POST", f"/people/{ann.person_id}/messages", **body)

    async def heard() -> list[dict[str, Any]]:
        return told.heard("messages")

    [message] = await until(heard)
    url = message["document"]["url"]
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    assert (await meta.http.get(url)).status_code == 401
    assert (await meta.http.get(url, headers=headers)).content == b"Hello"
    await meta.call("POST", "/clock", advance_seconds=301)
    assert (await meta.http.get(url, headers=headers)).status_code == 404


async def test_the_address_of_a_file_is_dead_at_once_while_that_fault_is_set(
    meta: Emulator, told: Receiver, ann: Person
) -> None:
    await meta.call("POST", "/faults", name="media_expired")
    file = {"data_base64": base64.b64encode(b"Hello").decode(), "mime_type": "text/plain"}
    body = {"phone_number_id": meta.number, "type": "document", "file": file}
    await meta.call("POST", f"/people/{ann.person_id}/messages", **body)

    async def heard() -> list[dict[str, Any]]:
        return told.heard("messages")

    [message] = await until(heard)
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    assert (await meta.http.get(message["document"]["url"], headers=headers)).status_code == 404


async def test_the_states_of_a_template_are_told_to_its_end(meta: Emulator, told: Receiver, ann: Person) -> None:
    account = meta.business["waba_id"]
    events: list[Any] = []
    await meta.call("PATCH", "/config", review_delay=0)

    async def said(count: int) -> list[str]:
        changes = [value for field, value in told.changes if field == "message_template_status_update"]
        events[:] = [value["event"] for value in changes]
        return events if len(events) >= count else []

    parts = [{"type": "BODY", "text": "Hello."}]
    body = {"name": "hello", "language": "en", "category": "UTILITY", "components": parts}
    made = await graph(meta, "POST", f"{account}/message_templates", body)
    await until(lambda: said(1))
    await graph(meta, "POST", made["id"], {"components": [{"type": "BODY", "text": "Good day."}]})
    await until(lambda: said(3))
    await meta.call("PATCH", f"/people/{ann.person_id}", online=False)
    template = {"name": "hello", "language": {"code": "en"}}
    await send(meta, ann, {"type": "template", "template": template})
    await told.statuses(1)
    await graph(meta, "DELETE", f"{account}/message_templates?name=hello")
    await until(lambda: said(4))
    assert (await graph(meta, "GET", made["id"]))["status"] == "PENDING_DELETION"
    await meta.call("PATCH", f"/people/{ann.person_id}", online=True)
    await until(lambda: said(5))
    assert sorted(events[1:3]) == ["APPROVED", "PENDING"]  # webhooks keep no order
    assert [events[0], *events[3:]] == ["APPROVED", "PENDING_DELETION", "DELETED"]
    assert (await graph(meta, "GET", f"{account}/message_templates"))["data"] == []
