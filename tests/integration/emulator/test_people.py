"""People of the emulator: what they tap, how they are made, and how the control API refuses what can't be."""

from typing import Any

import pytest

from support.meta import Emulator, Person
from support.receiver import Receiver, graph, send
from support.wait import until

BUTTONS = [
    {"type": "QUICK_REPLY", "text": "Yes"},
    {"type": "QUICK_REPLY", "text": "No"},
    {"type": "URL", "text": "Shop", "url": "https://fern.example"},
]


async def arrived(meta: Emulator, person: Person, sent: dict[str, Any]) -> str:
    """The id of a message, when it is on the phone."""
    wamid = str(sent["messages"][0]["id"])

    async def shown() -> bool:
        return any(message["id"] == wamid for message in await meta.chat(person))

    await until(shown)
    return wamid


async def refused(meta: Emulator, path: str, **body: Any) -> tuple[int, str]:
    answer = await meta.http.post(f"/control{path}", json=body)
    return answer.status_code, answer.text


async def test_a_tap_brings_back_the_payload_of_the_template_that_was_sent(
    meta: Emulator, told: Receiver, ann: Person
) -> None:
    account = meta.business["waba_id"]
    ids = []
    for language, buttons in (("de", [{"type": "QUICK_REPLY", "text": "Ja"}]), ("en", BUTTONS)):
        components = [{"type": "BODY", "text": "Sure?"}, {"type": "BUTTONS", "buttons": buttons}]
        new = {"name": "sure", "language": language, "category": "UTILITY", "components": components}
        ids.append((await graph(meta, "POST", f"{account}/message_templates", new))["id"])
        await meta.call("POST", f"/templates/{ids[-1]}/review", status="APPROVED")
    payload: dict[str, Any] = {"type": "button", "sub_type": "quick_reply", "index": "0"}
    payload["parameters"] = [{"type": "payload", "payload": "order-7:yes"}]
    template = {"name": "sure", "language": {"code": "en"}, "components": [payload]}
    wamid = await arrived(meta, ann, await send(meta, ann, {"type": "template", "template": template}))
    shown = next(message for message in await meta.chat(ann) if message["id"] == wamid)
    assert shown["buttons"][2] == {"type": "URL", "text": BUTTONS[2]["text"], "url": BUTTONS[2]["url"]}
    await graph(meta, "DELETE", f"{account}/message_templates?name=sure")
    path = f"/people/{ann.person_id}/tap"
    message = {"phone_number_id": meta.number, "message_id": wamid}
    for choice in ({"index": 0}, {"button_id": "No"}, {"button_id": "order-7:yes"}):
        await meta.call("POST", path, **message, **choice)

    async def heard() -> list[dict[str, Any]]:
        return told.heard("messages") if len(told.heard("messages")) == 3 else []

    yes, no = {"payload": "order-7:yes", "text": "Yes"}, {"payload": "No", "text": "No"}
    buttons_heard = [item["button"] for item in await until(heard)]
    assert sorted(buttons_heard, key=str) == sorted([yes, no, yes], key=str)
    status, text = await refused(meta, path, **message, index=2)
    assert (status, "URL" in text) == (409, True)
    assert (await refused(meta, path, **message, index=3))[0] == 404


async def test_a_number_belongs_to_one_person(meta: Emulator, ann: Person) -> None:
    bo = await meta.person("Bo", "5511987654321")
    assert (await refused(meta, "/people", name="Ann 2", phone=ann.wa_id))[0] == 409
    status, text = await refused(meta, "/people", name="Bo 2", phone="551187654321")
    assert (status, bo.person_id in text) == (409, True), "another spelling of the same number"
    answer = await meta.http.patch(f"/control/people/{ann.person_id}", json={"phone": bo.wa_id})
    assert answer.status_code == 409
    assert (await refused(meta, "/people", name="Cy", phone="+1 555"))[0] == 422


@pytest.mark.parametrize(
    ("body", "told_of"),
    [
        ({"type": "image", "file": {"data_base64": "a", "mime_type": "image/png"}}, "no base64"),
        (
            {"type": "image", "image": "x", "file": {"data_base64": "aaaa", "mime_type": "image/png"}},
            "must be an object",
        ),
        ({"type": "text", "text": {"body": "x"}, "context": "x"}, "context"),
    ],
)
async def test_a_message_that_can_not_be_is_refused_with_the_reason(
    meta: Emulator, ann: Person, body: dict[str, Any], told_of: str
) -> None:
    path = f"/people/{ann.person_id}/messages"
    status, text = await refused(meta, path, phone_number_id=meta.number, **body)
    assert (status, told_of in text) == (422, True), text
    assert await meta.chat(ann) == []


async def test_settings_that_can_not_be_are_refused_and_change_nothing(meta: Emulator) -> None:
    for wrong in ({"sent_delay": -1}, {"sent_dealy": 1}, {"payload_version": "v1"}):
        answer = await meta.http.patch("/control/config", json=wrong)
        assert answer.status_code == 422
    assert (await meta.call("GET", "/config"))["sent_delay"] == 0.02
    assert (await meta.http.post("/control/clock", json={"advance_seconds": 1e300})).status_code == 422
    assert (await refused(meta, "/webhooks/raw", app_id="nobody", envelope={}))[0] == 404
    assert (await refused(meta, "/webhooks/raw", body_base64="a"))[0] == 422


async def test_a_request_to_call_can_be_answered_for_a_week(meta: Emulator, told: Receiver, ann: Person) -> None:
    await meta.say(ann, "Hi")
    ask = {"type": "call_permission_request", "action": {"name": "call_permission_request"}}
    old = await arrived(meta, ann, await send(meta, ann, {"type": "interactive", "interactive": ask}))
    reply: dict[str, Any] = {"type": "interactive", "interactive": {"type": "call_permission_reply"}}
    reply["interactive"]["call_permission_reply"] = {"response": "accept", "is_permanent": False}
    path = f"/people/{ann.person_id}/messages"

    async def answer(wamid: str) -> int:
        return (await refused(meta, path, phone_number_id=meta.number, **reply, context={"id": wamid}))[0]

    day = 86_400
    await meta.call("POST", "/clock", advance_seconds=6 * day)
    assert await answer(old) == 200
    await meta.call("POST", "/clock", advance_seconds=6 * day)
    assert await answer(old) == 200, "the answer can be changed for a week"
    await meta.call("POST", "/clock", advance_seconds=7 * day)
    assert await answer(old) == 409
    await meta.say(ann, "Hi again")
    new = await arrived(meta, ann, await send(meta, ann, {"type": "interactive", "interactive": ask}))
    assert (await answer(old), await answer(new)) == (409, 200)
    assert len([m for m in told.heard("messages") if m["type"] == "interactive"]) <= 3
