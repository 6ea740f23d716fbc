"""What the business is told of its messages, and what people do with them, on the wire."""

from typing import Any

import pytest

from support.meta import Emulator, Person
from support.receiver import Receiver, graph, send
from support.wait import until

TEXT = {"type": "text", "text": {"body": "Hello"}, "biz_opaque_callback_data": "our-id"}


async def test_a_late_failure_follows_sent(meta: Emulator, told: Receiver, ann: Person) -> None:
    await meta.say(ann, "Hi")
    await meta.call("PATCH", "/config", delivered_delay=0.2)
    await meta.call("POST", "/faults", name="late_failed", code=131026, times=1)
    await send(meta, ann, TEXT)
    assert [s["status"] for s in await told.statuses(2)] == ["sent", "failed"]
    assert told.heard("statuses")[-1]["errors"][0]["code"] == 131026
    assert await meta.answers(ann) == []


async def test_statuses_come_in_the_wrong_order(meta: Emulator, told: Receiver, ann: Person) -> None:
    await meta.say(ann, "Hi")
    await meta.call("POST", "/faults", name="status_order", seconds=0.2, times=1)
    await send(meta, ann, TEXT)
    assert [s["status"] for s in await told.statuses(3)] == ["read", "delivered", "sent"]
    [shown] = [m for m in await meta.chat(ann) if m["direction"] == "out"]
    assert shown["status"] == "read"


async def test_all_is_sent_to_an_offline_phone_and_the_window_is_judged_at_acceptance(
    meta: Emulator, told: Receiver, ann: Person
) -> None:
    await meta.say(ann, "Hi")
    await meta.call("PATCH", f"/people/{ann.person_id}", online=False)
    ids = [(await send(meta, ann, TEXT))["messages"][0]["id"] for _ in range(3)]
    assert {(s["id"], s["status"]) for s in await told.statuses(3)} == {(wamid, "sent") for wamid in ids}
    await meta.call("POST", "/clock", advance_seconds=25 * 3600)
    await meta.call("PATCH", f"/people/{ann.person_id}", online=True)
    later = (await told.statuses(6))[3:]
    assert {(s["id"], s["status"]) for s in later} == {(wamid, "delivered") for wamid in ids}
    assert [m["id"] for m in await meta.chat(ann) if m["direction"] == "out"] == ids


async def test_a_closed_window_refuses_at_once_what_is_no_template(
    meta: Emulator, told: Receiver, ann: Person
) -> None:
    await meta.call("PATCH", "/config", closed_window="refuse")
    assert (await send(meta, ann, TEXT))["error"]["code"] == 131047
    made = await graph(
        meta,
        "POST",
        f"{meta.business['waba_id']}/message_templates",
        {
            "name": "hello",
            "language": "en",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "Hello."}],
        },
    )
    await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
    template = {"name": "hello", "language": {"code": "en"}}
    assert "messages" in await send(meta, ann, {"type": "template", "template": template})


async def test_a_call_opens_the_window_answered_or_not(meta: Emulator, ann: Person) -> None:
    async def is_open() -> bool:
        shown: dict[str, Any] = await meta.call("GET", f"/people/{ann.person_id}/chats/{meta.number}")
        return bool(shown["window_open"])

    assert not await is_open()
    call = await meta.call("POST", f"/people/{ann.person_id}/calls", phone_number_id=meta.number)
    assert await is_open()
    await meta.call("POST", f"/calls/{call['call_id']}/hangup")
    await send(meta, ann, TEXT)
    assert await meta.told(ann, 1) == ["Hello"]


@pytest.mark.parametrize(("version", "has_conversation"), [("v23", True), ("v24", False)])
async def test_statuses_have_the_shape_of_their_version(
    version: str, has_conversation: bool, meta: Emulator, told: Receiver, ann: Person
) -> None:
    await meta.call("PATCH", "/config", payload_version=version)
    await meta.say(ann, "Hi")
    await send(meta, ann, TEXT)
    assert [("conversation" in s) for s in await told.statuses(2)] == [has_conversation] * 2


async def test_phone_numbers_are_left_out(meta: Emulator, told: Receiver, ann: Person) -> None:
    await meta.call("POST", "/faults", name="omit_phone")
    wamid = await meta.say(ann, "Hi")
    await send(meta, ann, TEXT)
    for status in await told.statuses(2):
        assert ("recipient_id" in status, bool(status["recipient_user_id"])) == (False, True)

    async def heard() -> list[dict[str, Any]]:
        return told.heard("messages")

    [message] = await until(heard)
    assert (message["id"], "from" in message, bool(message["from_user_id"])) == (wamid, False, True)
    assert all("wa_id" not in contact for contact in told.heard("contacts"))


async def test_an_unknown_type_and_unknown_fields(meta: Emulator, told: Receiver, ann: Person) -> None:
    await meta.call("POST", "/faults", name="unknown_type", times=1)
    await meta.call("POST", "/faults", name="unknown_field", match={"field": "messages"})
    await meta.say(ann, "Hi")

    async def heard() -> list[dict[str, Any]]:
        return told.heard("messages")

    [message] = await until(heard)
    assert (message["type"], message["hologram"]) == ("hologram", {"depth": 3})
    assert all("brand_new_field" in value for _, value in told.changes)


async def test_media_addresses_are_dead_at_once(meta: Emulator, told: Receiver, ann: Person) -> None:
    file = {"data_base64": "iVBORw0KGgo=", "mime_type": "image/png"}
    await meta.call("POST", f"/people/{ann.person_id}/messages", phone_number_id=meta.number, type="image", file=file)

    async def heard() -> list[dict[str, Any]]:
        return told.heard("messages")

    [message] = await until(heard)
    await meta.call("POST", "/faults", name="media_expired", times=1)
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    codes = []
    for _ in range(2):
        located = await graph(meta, "GET", message["image"]["id"])
        codes.append((await meta.http.get(located["url"], headers=headers)).status_code)
    assert codes == [404, 200]
