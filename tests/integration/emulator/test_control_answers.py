"""The control API answers as its specification says, also where answers are written without being checked."""

import base64

import pytest
from pydantic import BaseModel

from greenline.emulator import control_answers as answers
from support.meta import Emulator, Person
from support.receiver import Receiver, graph, send
from support.wait import until


@pytest.fixture
async def lived(meta: Emulator, told: Receiver, ann: Person) -> Emulator:
    """An emulator in which something of each kind has happened."""
    file = {"data_base64": base64.b64encode(b"Hello").decode(), "mime_type": "text/plain"}
    said = f"/people/{ann.person_id}/messages"
    await meta.call("POST", said, phone_number_id=meta.number, type="document", file=file)
    await meta.call("POST", said, phone_number_id=meta.number, type="hologram", hologram={"id": 5}, status=7)
    await send(meta, ann, {"type": "text", "text": {"body": "Hello"}, "biz_opaque_callback_data": "ours"})
    await send(meta, ann, {"type": "text", "text": {"body": ""}})
    await graph(meta, "GET", "404")
    await meta.call("POST", "/faults", name="slow", seconds=0)
    await told.statuses(2)
    wamid = (await meta.chat(ann))[-1]["id"]
    await meta.call("POST", f"/people/{ann.person_id}/react", phone_number_id=meta.number, message_id=wamid)

    async def settled() -> bool:
        return bool((await meta.call("GET", "/state"))["pending_webhooks"] == 0)

    await until(settled)
    return meta


async def test_long_answers_are_those_that_are_described(lived: Emulator, ann: Person) -> None:
    models: dict[str, type[BaseModel]] = {
        f"/people/{ann.person_id}/chats/{lived.number}": answers.ChatShown,
        "/events": answers.Events,
        "/deliveries": answers.Deliveries,
        "/graph-calls": answers.GraphCalls,
        "/webhooks": answers.WebhooksShown,
        "/state": answers.State,
    }
    for path, model in models.items():
        answer = await lived.call("GET", path)
        model.model_validate(answer, strict=True)
        assert answer.keys() == model.model_fields.keys()
        assert all(answer[key] for key in answer if isinstance(answer[key], list)), f"{path} shows something"
    deliveries = await lived.call("GET", "/deliveries")
    assert deliveries["counts"] == {"ours": 1}


async def test_half_a_character_is_answered_as_it_came(meta: Emulator) -> None:
    """As Meta may send it: what shows it to a tester must not fail at it from then on."""
    headers = {"content-type": "application/json"}

    async def post(path: str, body: str) -> int:
        return (await meta.http.post(f"/control{path}", content=body, headers=headers)).status_code

    assert await post("/people", r'{"name": "\ud800"}') == 200
    assert await post("/people", r'{"phone": "\ud800"}') == 422
    assert await post(f"/apps/{meta.business['app_id']}/callback", r'{"callback_url": "http://\ud800/"}') == 200
    for path in ("/people", "/state"):
        assert r"\ud800" in (await meta.http.get(f"/control{path}")).text


@pytest.mark.parametrize("signature", ["é", " x", "a\r\nb"])
async def test_a_signature_that_no_header_holds_is_refused(meta: Emulator, signature: str) -> None:
    answer = await meta.http.post("/control/webhooks/raw", json={"signature": signature})
    assert answer.status_code == 422
