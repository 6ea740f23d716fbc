"""The emulator as a Graph client meets it, over real HTTP, with a receiver for its webhooks."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from support.meta import Emulator
from support.receiver import Receiver, graph, send, subscribed
from support.wait import until


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A callback, and the emulator that tells it."""
    async with subscribed(webhook_retry_schedule=[0.05, 0.1, 0.2]) as told:
        yield told


@pytest.fixture
def meta(receiver: Receiver) -> Emulator:
    return receiver.meta


TEXT = {"type": "text", "text": {"body": "Hello"}, "biz_opaque_callback_data": "our-id"}


async def test_a_message_reaches_the_phone_and_its_statuses_come_back(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    answer = await send(meta, ann, TEXT)
    assert answer["contacts"][0]["wa_id"] == ann.wa_id
    assert await meta.told(ann, 1) == ["Hello"]
    await meta.call("POST", f"/people/{ann.person_id}/read", phone_number_id=meta.number)

    async def read() -> bool:
        return "read" in receiver.states()

    await until(read)
    assert sorted(receiver.states()) == ["delivered", "read", "sent"]
    echoed = {s["biz_opaque_callback_data"] for _, value in receiver.changes for s in value.get("statuses", ())}
    assert echoed == {"our-id"}


async def test_a_refused_webhook_comes_again(meta: Emulator, receiver: Receiver) -> None:
    receiver.refuse = 2
    ann = await meta.person("Ann", "15550100001")
    wamid = await meta.say(ann, "Hi")

    async def heard() -> list[dict[str, Any]]:
        return receiver.heard("messages")

    assert [message["id"] for message in await until(heard)] == [wamid]


async def test_outside_the_window_a_message_fails_by_status(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    assert "messages" in await send(meta, ann, TEXT)

    async def failed() -> bool:
        return "failed" in receiver.states()

    await until(failed)
    assert await meta.answers(ann) == []


async def test_the_pair_rate_lends_and_refuses(meta: Emulator) -> None:
    await meta.call("PATCH", "/config", pair_burst=3)
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    codes = [(await send(meta, ann, TEXT)).get("error", {}).get("code") for _ in range(4)]
    assert codes == [None, None, None, 131056]
    await meta.call("POST", "/clock", advance_seconds=6)
    assert "messages" in await send(meta, ann, TEXT)


async def test_the_throughput_of_a_number_is_refused(meta: Emulator) -> None:
    await meta.call("PATCH", "/config", throughput_per_second=5)
    people = [await meta.person(f"P{n}", f"1555060{n:04}") for n in range(10)]
    answers = await asyncio.gather(*(send(meta, person, TEXT) for person in people))
    assert 130429 in [answer.get("error", {}).get("code") for answer in answers]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "text", "text": {"body": ""}}, 131008),
        ({"type": "text", "text": {"body": "x" * 4097}}, 131009),
        ({"type": "hologram"}, 100),
        ({"type": "image", "image": {}}, 131008),
        ({"type": "template", "template": {"name": "nothing", "language": {"code": "en"}}}, 132001),
        ({"type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "x" * 513}, 100),
    ],
)
async def test_what_meta_refuses_is_refused(meta: Emulator, body: dict[str, Any], code: int) -> None:
    ann = await meta.person("Ann", "15550100001")
    error = (await send(meta, ann, body))["error"]
    assert error["code"] == code
    assert error["fbtrace_id"]


async def test_a_template_is_reviewed_and_sent(meta: Emulator) -> None:
    made = await graph(
        meta,
        "POST",
        f"{meta.business['waba_id']}/message_templates",
        {
            "name": "order_ready",
            "language": "en",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "Hello {{1}}, your order is ready."}],
        },
    )
    await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
    ann = await meta.person("Ann", "15550100001")
    template = {"name": "order_ready", "language": {"code": "en"}}
    too_few = await send(meta, ann, {"type": "template", "template": template})
    assert too_few["error"]["code"] == 132000
    parameters = [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}]
    await send(meta, ann, {"type": "template", "template": {**template, "components": parameters}})

    async def arrived() -> list[str]:
        return [message["rendered"] for message in await meta.chat(ann)]

    assert await until(arrived) == ["Hello Ann, your order is ready."]


async def test_media_needs_its_token_and_dies_after_five_minutes(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    data = b"\x89PNG\r\n\x1a\nleaf"
    file = {"data_base64": base64.b64encode(data).decode(), "mime_type": "image/png", "filename": "leaf.png"}
    await meta.call("POST", f"/people/{ann.person_id}/messages", phone_number_id=meta.number, type="image", file=file)

    async def heard() -> list[dict[str, Any]]:
        return receiver.heard("messages")

    [message] = await until(heard)
    assert base64.b64decode(message["image"]["sha256"]) == hashlib.sha256(data).digest()
    located = await graph(meta, "GET", message["image"]["id"])
    assert located["sha256"] == hashlib.sha256(data).hexdigest()
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    assert (await meta.http.get(located["url"])).status_code == 401
    assert (await meta.http.get(located["url"], headers=headers)).content == data
    await meta.call("POST", "/clock", advance_seconds=301)
    assert (await meta.http.get(located["url"], headers=headers)).status_code == 404


async def test_a_voice_note_is_played_once_and_only_a_voice_note(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    note = b"OggS" + b"\0" * 24 + b"OpusHead\x01\x01" + b"\0" * 100
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    uploaded = await meta.http.post(
        f"/v23.0/{meta.number}/media",
        data={"messaging_product": "whatsapp", "type": "audio/ogg"},
        files={"file": ("a.ogg", note, "audio/ogg; codecs=opus")},
        headers=headers,
    )
    media_id = uploaded.json()["id"]
    ids = []
    for audio in ({"id": media_id, "voice": True}, {"id": media_id}):
        ids.append((await send(meta, ann, {"type": "audio", "audio": audio}))["messages"][0]["id"])

    async def arrived() -> bool:
        return receiver.states().count("delivered") == 2

    await until(arrived)
    play = f"/people/{ann.person_id}/play"
    told = [
        (await meta.call("POST", play, phone_number_id=meta.number, message_id=wamid))["first"]
        for wamid in (ids[0], ids[0], ids[1])
    ]
    assert told == [True, False, False]

    async def played() -> bool:
        return "played" in receiver.states()

    await until(played)
    assert [m["status"] for m in await meta.chat(ann) if m["direction"] == "out"] == ["played", "delivered"]
    assert sorted(s for s in receiver.states() if s not in ("sent", "delivered")) == ["played", "read"]
    kept = await meta.http.get(f"/control/media/{media_id}")
    assert (kept.content, kept.headers["content-type"]) == (note, "audio/ogg")
    assert (await meta.http.get("/control/media/1")).status_code == 404


async def test_an_offline_phone_gets_its_messages_in_order(meta: Emulator) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    await meta.call("PATCH", f"/people/{ann.person_id}", online=False)
    for number in range(5):
        await send(meta, ann, {"type": "text", "text": {"body": str(number)}})
    assert await meta.answers(ann) == []
    await meta.call("PATCH", f"/people/{ann.person_id}", online=True)
    assert await meta.told(ann, 5) == ["0", "1", "2", "3", "4"]


async def test_a_tap_comes_back_with_its_context(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    buttons = [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]
    interactive = {"type": "button", "body": {"text": "Sure?"}, "action": {"buttons": buttons}}
    sent = await send(meta, ann, {"type": "interactive", "interactive": interactive})
    wamid = sent["messages"][0]["id"]

    async def arrived() -> bool:
        return any(message["id"] == wamid for message in await meta.chat(ann))

    await until(arrived)
    tap = {"phone_number_id": meta.number, "message_id": wamid, "button_id": "yes"}
    await meta.call("POST", f"/people/{ann.person_id}/tap", **tap)

    async def heard() -> dict[str, Any] | None:
        return next((m for m in receiver.heard("messages") if m["type"] == "interactive"), None)

    message = await until(heard)
    assert message is not None
    assert message["interactive"]["button_reply"] == {"id": "yes", "title": "Yes"}
    assert message["context"]["id"] == wamid


async def test_a_token_that_expired_is_dead(meta: Emulator) -> None:
    await meta.call("PATCH", f"/tokens/{meta.business['token']}", expires_in=10)
    assert "error" not in await graph(meta, "GET", meta.number)
    await meta.call("POST", "/clock", advance_seconds=11)
    error = (await graph(meta, "GET", meta.number))["error"]
    assert (error["code"], error["error_subcode"]) == (190, 463)


@pytest.mark.parametrize(
    ("change", "code", "subcode", "valid"),
    [
        ({"revoked": True}, 190, 467, False),
        ({"expires_in": 0}, 190, 463, False),
        ({"scopes": ["whatsapp_business_messaging"]}, 10, None, True),
        ({"account_ids": []}, 200, None, True),
    ],
)
async def test_a_token_is_judged_and_described_alike(
    meta: Emulator, change: dict[str, Any], code: int, subcode: int | None, valid: bool
) -> None:
    await meta.call("PATCH", f"/tokens/{meta.business['token']}", **change)
    error = (await graph(meta, "GET", f"{meta.number}?fields=id"))["error"]
    assert (error["code"], error.get("error_subcode")) == (code, subcode)
    app_token = f"{meta.business['app_id']}|{meta.business['app_secret']}"
    told = (await graph(meta, "GET", f"debug_token?input_token={meta.business['token']}", token=app_token))["data"]
    assert told["is_valid"] is valid
    assert told.get("error", {}).get("subcode") == subcode
    assert told["scopes"] == change.get("scopes", told["scopes"])


async def test_a_token_without_messaging_may_manage_and_not_send(meta: Emulator) -> None:
    await meta.call("PATCH", f"/tokens/{meta.business['token']}", scopes=["whatsapp_business_management"])
    ann = await meta.person("Ann", "15550100001")
    assert (await send(meta, ann, TEXT))["error"]["code"] == 10
    assert (await graph(meta, "GET", meta.number))["id"] == meta.number


async def test_the_fault_of_expired_tokens_is_described_too(meta: Emulator) -> None:
    await meta.call("POST", "/faults", name="token_expired")
    app_token = f"{meta.business['app_id']}|{meta.business['app_secret']}"
    told = await graph(meta, "GET", f"debug_token?input_token={meta.business['token']}", token=app_token)
    assert told["data"]["is_valid"] is False


async def test_faults_act_as_often_as_told(meta: Emulator) -> None:
    await meta.call("POST", "/faults", name="graph_error", code=131000, times=2)
    codes = [(await graph(meta, "GET", meta.number)).get("error", {}).get("code") for _ in range(3)]
    assert codes == [131000, 131000, None]


async def test_a_fault_can_be_meant_for_what_is_sent(meta: Emulator) -> None:
    ann = await meta.person("Ann", "15550100001")
    wamid = await meta.say(ann, "Hi")
    await meta.call("POST", "/faults", name="graph_error", code=130429, times=1, match={"sends": "text"})
    await meta.call("POST", "/faults", name="reset_before_accept", times=1, match={"sends": "typing"})
    receipt = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    assert await graph(meta, "POST", f"{meta.number}/messages", receipt) == {"success": True}
    with pytest.raises(httpx2.TransportError):
        await graph(meta, "POST", f"{meta.number}/messages", {**receipt, "typing_indicator": {"type": "text"}})
    assert (await send(meta, ann, TEXT))["error"]["code"] == 130429
    assert "messages" in await send(meta, ann, TEXT)
    calls = [c for c in (await meta.call("GET", "/graph-calls"))["calls"] if c["sends"]]
    assert [(c["sends"], c["status"], c["faults"]) for c in calls] == [
        ("read", 200, []),
        ("typing", None, ["reset_before_accept"]),
        ("text", 400, ["graph_error"]),
        ("text", 200, []),
    ]


async def test_a_cut_connection_is_cut(meta: Emulator) -> None:
    await meta.call("POST", "/faults", name="reset_before_accept", times=1)
    with pytest.raises(httpx2.TransportError):
        await graph(meta, "GET", meta.number)
    assert (await graph(meta, "GET", meta.number))["id"] == meta.number


async def test_the_old_number_leads_to_the_new_one(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    await meta.call("PATCH", f"/people/{ann.person_id}", phone="15550100002")

    async def told() -> dict[str, Any] | None:
        return next((m for m in receiver.heard("messages") if m["type"] == "system"), None)

    message = await until(told)
    assert message is not None
    assert (message["from"], message["system"]["wa_id"]) == ("15550100001", "15550100002")


async def test_reports_pause_a_template_until_the_clock_says_so(meta: Emulator, receiver: Receiver) -> None:
    await meta.call("PATCH", "/config", quality_sample=1)
    account = meta.business["waba_id"]
    components = [{"type": "BODY", "text": "Roses are cheap today."}]
    new = {"name": "sale", "language": "en", "category": "MARKETING", "components": components}
    made = await graph(meta, "POST", f"{account}/message_templates", new)
    await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
    ann = await meta.person("Ann", "15550100001")
    sale = {"type": "template", "template": {"name": "sale", "language": {"code": "en"}}}
    await send(meta, ann, sale)
    report = {"phone_number_id": meta.number, "feedback": "report"}

    async def reported() -> bool:
        return bool((await meta.call("POST", f"/people/{ann.person_id}/feedback", **report))["counted"])

    await until(reported)
    assert (await send(meta, ann, sale))["error"]["code"] == 132015
    found = await graph(meta, "GET", f"{made['id']}?fields=status,quality_score")
    assert (found["status"], found["quality_score"]["score"]) == ("PAUSED", "RED")
    await meta.call("POST", "/clock", advance_seconds=3 * 3600)

    async def unpaused() -> bool:
        titles = [value.get("other_info", {}).get("title") for _, value in receiver.changes]
        return "FIRST_PAUSE" in titles and "UNPAUSE" in titles

    await until(unpaused)
    assert "messages" in await send(meta, ann, sale)


async def test_who_stops_marketing_gets_no_more_of_it(meta: Emulator, receiver: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.call("POST", f"/people/{ann.person_id}/feedback", phone_number_id=meta.number, feedback="stop")

    async def told() -> list[Any]:
        return [p for _, value in receiver.changes for p in value.get("user_preferences", ())]

    [preference] = await until(told)
    assert (preference["wa_id"], preference["category"], preference["value"]) == (
        ann.wa_id,
        "marketing_messages",
        "stop",
    )


async def test_a_blocked_person_is_not_heard_and_not_written_to(meta: Emulator, receiver: Receiver) -> None:
    ann, bo = await meta.person("Ann", "15550100001"), await meta.person("Bo", "15550100002")
    users = [{"user": f"+{ann.wa_id}"}, {"user": f"+{bo.wa_id}"}]
    body = {"messaging_product": "whatsapp", "block_users": users}
    await meta.say(ann, "Hi")
    answer = await graph(meta, "POST", f"{meta.number}/block_users", body)
    assert answer["error"]["code"] == 139100
    assert answer["block_users"]["added_users"] == [{"input": f"+{ann.wa_id}", "wa_id": ann.wa_id}]
    assert answer["block_users"]["failed_users"][0]["errors"][0]["code"] == 131047
    await meta.say(ann, "Hello?")
    await meta.say(bo, "Hi")
    assert "block_users" in await graph(meta, "POST", f"{meta.number}/block_users", body)

    async def heard() -> bool:
        return len(receiver.heard("messages")) == 2

    await until(heard)
    assert {message["text"]["body"] for message in receiver.heard("messages")} == {"Hi"}
    assert (await send(meta, ann, TEXT))["error"]["code"] == 130403
    page = await graph(meta, "GET", f"{meta.number}/block_users?limit=1")
    after = page["paging"]["cursors"]["after"]
    rest = await graph(meta, "GET", f"{meta.number}/block_users?limit=1&after={after}")
    assert [row["wa_id"] for row in page["data"] + rest["data"]] == [ann.wa_id, bo.wa_id]
    assert "next" in page["paging"]
    assert "next" not in rest["paging"]
    assert (await graph(meta, "GET", f"{meta.number}/block_users?limit=some"))["error"]["code"] == 100


async def raw(meta: Emulator, method: str, path: str, **options: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {meta.business['token']}", **options.pop("headers", {})}
    return await meta.http.request(method, path, headers=headers, **options)


async def test_whatever_is_asked_is_answered_in_metas_envelope(meta: Emulator) -> None:
    number = f"/v23.0/{meta.number}"
    as_json = {"content-type": "application/json"}
    as_form = {"content-type": "multipart/form-data; boundary=y"}
    for method, path, options in (
        ("GET", "/", {}),
        ("GET", "/v23.0", {}),
        ("GET", "/v99.0/me", {}),
        ("PUT", number, {}),
        ("PATCH", f"{number}/messages", {}),
        ("DELETE", f"{number}/messages", {}),
        (
            "POST",
            f"{number}/media",
            {"content": b"x", "headers": as_form},
        ),
        ("POST", f"{number}/media", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        ("POST", f"{number}/messages", {"content": b'{"a":', "headers": as_json}),
        ("POST", f"{number}/messages", {"content": b'{"a": "\xff"}', "headers": as_json}),
        ("POST", f"{number}/messages", {"content": b'{"to": "\\ud800"}', "headers": as_json}),
        ("POST", f"{number}/messages", {"content": b'{"to": NaN}', "headers": as_json}),
        ("POST", f"{number}/messages", {"content": b"[" * 100_000, "headers": as_json}),
        ("POST", f"{number}/messages", {"content": b'{"to": ' + b"9" * 5000 + b"}", "headers": as_json}),
        ("POST", f"{number}/messages", {"json": ["x"]}),
        ("POST", f"/v23.0/{meta.business['app_id']}/subscriptions", {"json": {"callback_url": "http://[::1"}}),
    ):
        answer = await raw(meta, method, path, **options)
        assert 400 <= answer.status_code < 500, (method, path, options)
        error = answer.json()["error"]
        assert {"message", "type", "code", "fbtrace_id"} <= error.keys()


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("plan.pdf", 'attachment; filename="plan.pdf"'),
        ("Łódź.pdf", "attachment; filename=\"??d?.pdf\"; filename*=UTF-8''%C5%81%C3%B3d%C5%BA.pdf"),
        ('a"b\\c\r\nX: y.pdf', "attachment; filename=\"a_b_cX: y.pdf\"; filename*=UTF-8''a%22b%5CcX%3A%20y.pdf"),
    ],
)
async def test_a_file_is_fetched_whatever_its_name(
    meta: Emulator, receiver: Receiver, filename: str, disposition: str
) -> None:
    ann = await meta.person("Ann", "15550100001")
    file = {"data_base64": base64.b64encode(b"%PDF-1").decode(), "mime_type": "application/pdf", "filename": filename}
    acts = f"/people/{ann.person_id}/messages"
    await meta.call("POST", acts, phone_number_id=meta.number, type="document", file=file)

    async def heard() -> list[dict[str, Any]]:
        return receiver.heard("messages")

    [message] = await until(heard)
    assert message["document"]["filename"] == filename
    located = await graph(meta, "GET", message["document"]["id"])
    fetched = await raw(meta, "GET", located["url"])
    assert (fetched.status_code, fetched.content) == (200, b"%PDF-1")
    assert fetched.headers["content-disposition"] == disposition


async def test_a_callback_of_a_number_is_proven_and_shown(meta: Emulator, receiver: Receiver) -> None:
    def configured(url: str) -> dict[str, Any]:
        return {"webhook_configuration": {"override_callback_uri": url, "verify_token": "ours"}}

    for url in ("http://127.0.0.1:1/none", "ftp://x", "nowhere", f"{receiver.url}/{'x' * 200}"):
        assert (await graph(meta, "POST", meta.number, configured(url)))["error"]["code"] == 100
    shown = f"{meta.number}?fields=webhook_configuration"
    assert (await graph(meta, "GET", shown))["webhook_configuration"] == {"application": f"{receiver.url}/hook"}
    assert await graph(meta, "POST", meta.number, configured(f"{receiver.url}/own")) == {"success": True}
    assert (await graph(meta, "GET", shown))["webhook_configuration"]["phone_number"] == f"{receiver.url}/own"
    assert await graph(meta, "POST", meta.number, configured("")) == {"success": True}
    assert "phone_number" not in (await graph(meta, "GET", shown))["webhook_configuration"]
