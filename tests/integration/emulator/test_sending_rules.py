"""What becomes of messages that Meta takes, or does not: statuses, windows, limits, prices."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from support.meta import Emulator, Person, emulator_here
from support.scripted import Answer, Request, scripted
from support.wait import until

DAY = 86_400
TEXT: dict[str, Any] = {"type": "text", "text": {"body": "Hello"}}
PNG = b"\x89PNG\r\n\x1a\n"
NOTE = b"OggS" + b"\0" * 24 + b"OpusHead\x01\x01" + b"\0" * 100


@pytest.fixture
async def meta() -> AsyncIterator[Emulator]:
    async with emulator_here(sent_delay=0.0, delivered_delay=0.0) as running:
        await running.graph("POST", f"{running.business['waba_id']}/subscribed_apps")
        await running.call(
            "POST", f"/apps/{running.business['app_id']}/callback", callback_url="http://127.0.0.1:1", verify=False
        )
        yield running


@pytest.fixture
async def ann(meta: Emulator) -> Person:
    person = await meta.person("Ann", "15550100001")
    await meta.say(person, "Hi")
    return person


def wamid_of(answer: dict[str, Any]) -> str:
    assert "messages" in answer, answer
    return str(answer["messages"][0]["id"])


async def statuses(meta: Emulator, wamid: str) -> list[dict[str, Any]]:
    """What the business is told of a message, in the order in which it is told."""
    deliveries = (await meta.call("GET", "/webhooks"))["deliveries"]
    values = [change["value"] for d in deliveries for entry in d["body"]["entry"] for change in entry["changes"]]
    return [status for value in values for status in value.get("statuses", ()) if status["id"] == wamid]


async def last_status(meta: Emulator, wamid: str, *final: str) -> dict[str, Any]:
    async def told() -> list[dict[str, Any]]:
        return [status for status in await statuses(meta, wamid) if status["status"] in final]

    return (await until(told))[-1]


async def outcome(meta: Emulator, answer: dict[str, Any]) -> int | str:
    """The code with which a message is refused or fails, or ``delivered``."""
    if "error" in answer:
        return int(answer["error"]["code"])
    status = await last_status(meta, wamid_of(answer), "delivered", "failed")
    return int(status["errors"][0]["code"]) if status["status"] == "failed" else "delivered"


async def upload(meta: Emulator, mime_type: str, data: bytes) -> str:
    answer = await meta.http.post(
        f"/v23.0/{meta.number}/media",
        data={"messaging_product": "whatsapp", "type": mime_type},
        files={"file": ("a", data, mime_type)},
        headers={"Authorization": f"Bearer {meta.business['token']}"},
    )
    return str(answer.json()["id"])


async def approved(meta: Emulator, name: str, category: str = "UTILITY", *more: Any) -> dict[str, Any]:
    """An approved template; returns the message that sends it."""
    components = [{"type": "BODY", "text": "Roses are cheap."}, *more]
    body = {"name": name, "language": "en", "category": category, "components": components}
    made = await meta.graph("POST", f"{meta.business['waba_id']}/message_templates", body)
    await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
    return {"type": "template", "template": {"name": name, "language": {"code": "en"}}}


def reaction(wamid: str) -> dict[str, Any]:
    return {"type": "reaction", "reaction": {"message_id": wamid, "emoji": "👍"}}


async def test_of_a_reaction_only_sent_is_told(meta: Emulator, ann: Person) -> None:
    target = await meta.say(ann, "Nice")
    wamid = wamid_of(await meta.send(ann, **reaction(target)))

    async def shown() -> bool:
        return any(message["reactions"] == ["👍"] for message in await meta.chat(ann))

    await until(shown)
    assert [status["status"] for status in await statuses(meta, wamid)] == ["sent"]


async def test_a_reaction_to_what_is_no_message_fails(meta: Emulator, ann: Person) -> None:
    old = await meta.say(ann, "Long ago")
    mine = wamid_of(await meta.send(ann, **reaction(old)))
    for target in ("wamid.nothing", mine):
        assert await outcome(meta, await meta.send(ann, **reaction(target))) == 131009
    await meta.call("POST", "/clock", advance_seconds=30 * DAY + 1)
    await meta.say(ann, "Hi again")
    assert await outcome(meta, await meta.send(ann, **reaction(old))) == 131009


async def test_a_quote_that_is_gone_is_answered_without_it(meta: Emulator, ann: Person) -> None:
    old = await meta.say(ann, "Which one?")
    for quoted in (old, "wamid.nothing"):
        answer = await meta.send(ann, **TEXT, context={"message_id": quoted})
        assert await outcome(meta, answer) == "delivered"
    contexts = [message["context"] for message in await meta.chat(ann) if message["direction"] == "out"]
    assert contexts == [{"id": old, "message_id": old}, None]


async def test_a_read_receipt_is_for_messages_of_the_last_thirty_days(meta: Emulator, ann: Person) -> None:
    wamid = await meta.say(ann, "Hi")
    receipt = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    messages = f"{meta.number}/messages"
    assert await meta.graph("POST", messages, receipt) == {"success": True}
    for bubble in ("text", {"type": "voice"}):
        answer = await meta.graph("POST", messages, {**receipt, "typing_indicator": bubble})
        assert answer["error"]["code"] == 131009
    await meta.call("POST", "/clock", advance_seconds=30 * DAY + 1)
    assert (await meta.graph("POST", messages, receipt))["error"]["code"] == 131009


@pytest.mark.parametrize(
    ("mime_type", "data", "kind", "more", "expected"),
    [
        ("image/png", PNG, "image", {}, "delivered"),
        ("image/png", PNG, "document", {}, "delivered"),
        ("image/png", PNG, "audio", {"voice": True}, 131053),
        ("image/png", PNG, "sticker", {}, 131053),
        ("audio/ogg", NOTE, "audio", {"voice": True}, "delivered"),
        ("audio/amr", b"#!AMR\n", "audio", {}, "delivered"),
        ("audio/amr", b"#!AMR\n", "audio", {"voice": True}, 131053),
        ("application/pdf", b"%PDF-1", "image", {}, 131053),
    ],
)
async def test_a_file_is_sent_as_what_it_is(
    meta: Emulator, ann: Person, mime_type: str, data: bytes, kind: str, more: dict[str, Any], expected: Any
) -> None:
    file = {"id": await upload(meta, mime_type, data), **more}
    assert await outcome(meta, await meta.send(ann, type=kind, **{kind: file})) == expected


async def test_a_header_has_a_file_that_is_known_and_of_its_kind(meta: Emulator, ann: Person) -> None:
    template = await approved(meta, "plan", "UTILITY", {"type": "HEADER", "format": "IMAGE"})
    picture, plan = await upload(meta, "image/png", PNG), await upload(meta, "application/pdf", b"%PDF-1")
    action = {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}
    for media_id, expected in (("nothing", 131009), (plan, 131053), (picture, "delivered")):
        header = {"type": "image", "image": {"id": media_id}}
        buttons = {"type": "button", "header": header, "body": {"text": "Sure?"}, "action": action}
        assert await outcome(meta, await meta.send(ann, type="interactive", interactive=buttons)) == expected
        components = [{"type": "header", "parameters": [header]}]
        filled = {**template["template"], "components": components}
        assert await outcome(meta, await meta.send(ann, type="template", template=filled)) == expected


async def test_a_link_is_fetched_and_remembered_for_ten_minutes(meta: Emulator, ann: Person) -> None:
    answers = {
        "/a.png": Answer(200, PNG, headers={"content-type": "image/png"}),
        "/fake.png": Answer(200, b"<html>", headers={"content-type": "image/png"}),
        "/page": Answer(200, b"<html>", headers={"content-type": "text/html"}),
    }
    asked: list[str] = []

    def shop(request: Request) -> Answer:
        asked.append(request.target)
        return answers.get(request.target, Answer(404))

    async with scripted(shop) as server:
        for path, expected in (
            ("/a.png", "delivered"),
            ("/a.png", "delivered"),
            ("/fake.png", 131053),
            ("/page", 131053),
            ("/gone", 131053),
        ):
            answer = await meta.send(ann, type="image", image={"link": f"{server.url}{path}"})
            assert await outcome(meta, answer) == expected, path
        assert asked == ["/a.png", "/fake.png", "/page", "/gone"]
        await meta.call("POST", "/clock", advance_seconds=601)
        await outcome(meta, await meta.send(ann, type="image", image={"link": f"{server.url}/a.png"}))
        assert asked[4:] == ["/a.png"]
    assert (
        await outcome(meta, await meta.send(ann, type="image", image={"link": "http://localhost:1/a.png"})) == 131053
    )
    assert (
        await outcome(meta, await meta.send(ann, type="image", image={"link": "https://x.example/a"})) == "delivered"
    )


async def test_a_closed_window_refuses_free_text_alone_and_charges_nothing(meta: Emulator) -> None:
    template = await approved(meta, "hello")
    await meta.call("PATCH", "/config", closed_window="refuse", pair_burst=2)
    ann = await meta.person("Ann", "15550100001")
    for _ in range(5):
        assert await outcome(meta, await meta.send(ann, **TEXT)) == 131047
    assert await outcome(meta, await meta.send(ann, **template)) == "delivered"


async def test_a_test_number_writes_to_its_recipients_alone(meta: Emulator) -> None:
    business = await meta.call("POST", "/setup", test_recipients=["+55 11 98765-4321"])
    known, other = await meta.person("Rui", "551187654321"), await meta.person("Ann", "15550100001")
    path = f"{business['phone_number_id']}/messages"
    headers = {"Authorization": f"Bearer {business['token']}"}
    codes = []
    for person in (known, other):
        body = {"messaging_product": "whatsapp", "to": f"+{person.wa_id}", **TEXT}
        answer = (await meta.http.post(f"/v23.0/{path}", json=body, headers=headers)).json()
        codes.append(answer.get("error", {}).get("code"))
    assert codes == [None, 131030]
    shown = await meta.http.get(f"/v23.0/{business['phone_number_id']}?fields=account_mode", headers=headers)
    assert shown.json()["account_mode"] == "SANDBOX"


async def test_a_portfolio_opens_as_many_conversations_as_its_limit_allows(meta: Emulator, ann: Person) -> None:
    template = await approved(meta, "hello")
    await meta.call("PATCH", "/config", messaging_limit="TIER_250")
    shown = await meta.graph("GET", f"{meta.number}?fields=whatsapp_business_manager_messaging_limit")
    assert shown["whatsapp_business_manager_messaging_limit"] == "TIER_250"
    await meta.call("PATCH", "/config", enforce_throughput=False)
    people = [await meta.person(f"P{n}", f"1555060{n:04}") for n in range(251)]
    answers = [await meta.send(person, **template) for person in people]
    assert await outcome(meta, answers[249]) == "delivered"
    assert await outcome(meta, answers[250]) == 131048
    assert await outcome(meta, await meta.send(people[0], **template)) == "delivered"
    assert await outcome(meta, await meta.send(ann, **template)) == "delivered"
    await meta.call("POST", "/clock", advance_seconds=DAY + 1)
    assert await outcome(meta, await meta.send(people[250], **template)) == "delivered"


async def write_first(meta: Emulator, template: dict[str, Any], count: int) -> None:
    """A message each to people who never wrote; returns when the last one has arrived."""
    await meta.call("PATCH", "/config", enforce_throughput=False)
    known = len((await meta.call("GET", "/people"))["people"])
    people = [await meta.person(f"P{place}", f"1555070{place:04}") for place in range(known, known + count)]
    answers = [await meta.send(person, **template) for person in people]
    assert await outcome(meta, answers[-1]) == "delivered"


async def messaging_limit(meta: Emulator) -> Any:
    field = "whatsapp_business_manager_messaging_limit"
    return (await meta.graph("GET", f"{meta.number}?fields={field}"))[field]


async def test_the_messaging_limit_rises_when_half_of_it_is_used(meta: Emulator) -> None:
    template = await approved(meta, "hello")
    await meta.call("PATCH", "/config", messaging_limit="TIER_250")
    await write_first(meta, template, 124)
    await meta.call("POST", "/clock", advance_seconds=6 * 3600 + 1)
    assert await messaging_limit(meta) == "TIER_250"
    await write_first(meta, template, 2)
    await meta.call("POST", "/clock", advance_seconds=6 * 3600 - 60)
    assert await messaging_limit(meta) == "TIER_250"
    await meta.call("POST", "/clock", advance_seconds=61)
    told = await until(lambda: updates(meta, "business_capability_update"))
    assert [value["max_daily_conversations_per_business"] for value in told] == [2000]
    assert await messaging_limit(meta) == "TIER_2K"


async def test_no_limit_rises_while_people_complain(meta: Emulator) -> None:
    template = await approved(meta, "hello")
    await meta.call("PATCH", "/config", messaging_limit="TIER_250", quality_sample=1, messaging_limit_rise_delay=0)
    await meta.call("PATCH", "/config", quality_red_share=0.01, quality_yellow_share=0.01)
    bo = await meta.person("Bo", "15550100002")
    assert await outcome(meta, await meta.send(bo, **template)) == "delivered"
    await meta.call("POST", f"/people/{bo.person_id}/feedback", phone_number_id=meta.number, feedback="report")
    better = await approved(meta, "better")
    await write_first(meta, better, 130)
    assert await updates(meta, "message_template_quality_update")
    assert await messaging_limit(meta) == "TIER_250"
    unlimited = {"messaging_limit": "TIER_UNLIMITED", "throughput_upgrade_people": 1}
    await meta.call("PATCH", "/config", enforce_throughput=True, **unlimited)
    await meta.call("POST", "/clock", advance_seconds=1)
    cy = await meta.person("Cy", "15550100003")
    assert [await outcome(meta, await meta.send(cy, **better)) for _ in range(2)] == ["delivered"] * 2


async def level(meta: Emulator) -> Any:
    return (await meta.graph("GET", f"{meta.number}?fields=throughput"))["throughput"]["level"]


async def test_a_number_that_writes_to_very_many_is_upgraded(meta: Emulator, ann: Person) -> None:
    template = await approved(meta, "hello")
    limits = {"throughput_per_second": 2, "high_throughput_per_second": 3, "throughput_upgrade_people": 2}
    await meta.call("PATCH", "/config", messaging_limit="TIER_100K", **limits)
    people = [await meta.person(f"P{n}", f"1555070{n:04}") for n in range(3)]
    for tier, person in (("TIER_100K", people[0]), ("TIER_100K", people[1]), ("TIER_UNLIMITED", people[2])):
        await meta.call("PATCH", "/config", messaging_limit=tier)
        assert await outcome(meta, await meta.send(person, **template)) == "delivered"
        await meta.call("POST", "/clock", advance_seconds=1)
    refused = await meta.send(ann, **TEXT)
    assert (await outcome(meta, refused), await level(meta)) == (131057, "STANDARD")
    await meta.call("POST", "/clock", advance_seconds=60)
    told = await until(lambda: updates(meta, "phone_number_quality_update"))
    named = "".join(c for c in meta.business["display_phone_number"] if c.isdigit())
    assert [(value["event"], value["display_phone_number"]) for value in told] == [("THROUGHPUT_UPGRADE", named)]
    assert await level(meta) == "HIGH"
    codes = [(await meta.send(ann, **TEXT)).get("error", {}).get("code") for _ in range(4)]
    assert codes == [None, None, None, 130429]


async def test_a_number_with_the_business_app_sends_less_and_stays_so(meta: Emulator) -> None:
    template = await approved(meta, "hello")
    await meta.call("PATCH", "/config", throughput_upgrade_people=1, coexistence_throughput_per_second=2)
    app = {name: meta.business[name] for name in ("app_id", "app_secret", "verify_token", "waba_id")}
    both = replace(meta, business=await meta.call("POST", "/setup", **app, coexistence=True))
    bo = await meta.person("Bo", "15550100002")
    assert await outcome(meta, await both.send(bo, **template)) == "delivered"
    codes = [(await both.send(bo, **template)).get("error", {}).get("code") for _ in range(2)]
    assert codes == [None, 130429]


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("14155552671", 131049),
        ("12125550199", 131049),
        ("16135550123", "delivered"),  # Ottawa
        ("18765550000", "delivered"),  # Jamaica
        ("15550100002", "delivered"),  # nowhere
        ("447700900123", "delivered"),
    ],
)
async def test_marketing_is_not_delivered_to_the_united_states(meta: Emulator, phone: str, expected: Any) -> None:
    sale = await approved(meta, "sale", "MARKETING")
    person = await meta.person("Bo", phone)
    await meta.say(person, "Hi")
    assert await outcome(meta, await meta.send(person, **sale)) == expected
    assert await outcome(meta, await meta.send(person, **await approved(meta, "order"))) == "delivered"
    await meta.call("PATCH", "/config", us_marketing=True)
    assert await outcome(meta, await meta.send(person, **sale)) == "delivered"


async def price(meta: Emulator, answer: dict[str, Any]) -> tuple[str, str, bool]:
    pricing = (await last_status(meta, wamid_of(answer), "sent"))["pricing"]
    return pricing["type"], pricing["category"], pricing["billable"]


async def test_service_messages_cost_when_the_free_ones_are_used(meta: Emulator, ann: Person) -> None:
    await meta.call("PATCH", "/config", free_service_messages=1)
    assert await price(meta, await meta.send(ann, **TEXT)) == ("free_customer_service", "service", False)
    assert await price(meta, await meta.send(ann, **TEXT)) == ("regular", "service", True)
    utility = await approved(meta, "order")
    assert await price(meta, await meta.send(ann, **utility)) == ("regular", "utility", True)
    await meta.call("PATCH", "/config", price_rules="2025-07")
    assert await price(meta, await meta.send(ann, **TEXT)) == ("free_customer_service", "service", False)
    assert await price(meta, await meta.send(ann, **utility)) == ("free_customer_service", "utility", False)
    sale = await approved(meta, "sale", "MARKETING")
    assert await price(meta, await meta.send(ann, **sale)) == ("regular", "marketing", True)


async def test_who_comes_by_an_advertisement_is_written_to_for_nothing(meta: Emulator, ann: Person) -> None:
    await meta.call(
        "POST",
        f"/people/{ann.person_id}/messages",
        phone_number_id=meta.number,
        type="text",
        text={"body": "Hi"},
        referral={"source_type": "ad", "source_id": "1"},
    )
    sale = await approved(meta, "sale", "MARKETING")
    for message in (TEXT, sale):
        answer = await meta.send(ann, **message)
        assert await price(meta, answer) == ("free_entry_point", "referral_conversion", False)
        told = (await last_status(meta, wamid_of(answer), "sent"))["conversation"]
        assert told["origin"] == {"type": "referral_conversion"}
    await meta.call("POST", "/clock", advance_seconds=3 * DAY)
    answer = await meta.send(ann, **sale)
    assert await price(meta, answer) == ("regular", "marketing", True)
    assert "conversation" not in await last_status(meta, wamid_of(answer), "sent")


async def test_the_older_shape_tells_of_a_conversation_and_its_end(meta: Emulator, ann: Person) -> None:
    await meta.call("PATCH", "/config", payload_version="v23")
    wamid = wamid_of(await meta.send(ann, **TEXT))
    await last_status(meta, wamid, "delivered")
    sent, delivered = await statuses(meta, wamid)
    assert int(sent["conversation"]["expiration_timestamp"]) - int(sent["timestamp"]) in (DAY - 1, DAY)
    assert "expiration_timestamp" not in delivered["conversation"]
    assert sent["conversation"]["id"] == delivered["conversation"]["id"]


async def test_somebody_unknown_is_named_as_the_business_did(meta: Emulator) -> None:
    for to, contact in (
        ({"recipient": "US.99"}, {"input": "US.99", "user_id": "US.99"}),
        ({"to": "+15559990000"}, {"input": "+15559990000", "wa_id": "15559990000"}),
    ):
        body = {"messaging_product": "whatsapp", **to, **TEXT}
        answer = await meta.graph("POST", f"{meta.number}/messages", body)
        assert answer["contacts"] == [contact]
        failed = await last_status(meta, wamid_of(answer), "failed")
        assert failed["errors"][0]["code"] == 131026
        ids = {"recipient_id": contact.get("wa_id"), "recipient_user_id": contact.get("user_id")}
        assert {key: failed.get(key) for key in ids} == ids


async def test_a_code_is_not_sent_to_a_user_id(meta: Emulator, ann: Person) -> None:
    code = await approved(meta, "code", "AUTHENTICATION", {"type": "BUTTONS", "buttons": [{"type": "OTP"}]})
    value = [{"type": "text", "text": "123"}]
    button = {"type": "button", "sub_type": "url", "index": "0", "parameters": value}
    code["template"]["components"] = [{"type": "body", "parameters": value}, button]
    user_id = (await meta.call("GET", "/people"))["people"][0]["user_id"]
    body = {"messaging_product": "whatsapp", "recipient": user_id, **code}
    assert await outcome(meta, await meta.graph("POST", f"{meta.number}/messages", body)) == 131062
    assert await outcome(meta, await meta.send(ann, **code)) == "delivered"


async def test_an_account_is_managed_so_often_in_an_hour(meta: Emulator) -> None:
    await meta.call("PATCH", "/config", management_calls_per_hour=5)
    path = f"{meta.business['waba_id']}/message_templates"
    codes = [(await meta.graph("GET", path)).get("error", {}).get("code") for _ in range(5)]
    assert codes == [None] * 4 + [80007]  # the subscription of the app was the first
    assert "error" in await meta.graph("GET", meta.number)
    await meta.call("POST", "/clock", advance_seconds=3601)
    assert "data" in await meta.graph("GET", path)


async def test_an_account_without_a_registered_number_is_managed_less(meta: Emulator) -> None:
    await meta.graph("POST", f"{meta.number}/deregister")
    codes = [(await meta.graph("GET", meta.number)).get("error", {}).get("code") for _ in range(199)]
    assert set(codes[:198]) == {None}
    assert codes[198] == 80007


async def test_a_number_is_registered_ten_times_in_three_days(meta: Emulator) -> None:
    register = {"messaging_product": "whatsapp", "pin": "123456"}
    codes = []
    for step in range(11):
        path = f"{meta.number}/{'register' if step % 2 else 'deregister'}"
        codes.append((await meta.graph("POST", path, register)).get("error", {}).get("code"))
    assert codes == [None] * 10 + [133016]
    await meta.call("POST", "/clock", advance_seconds=3 * DAY + 1)
    assert await meta.graph("POST", f"{meta.number}/register", register) == {"success": True}


@pytest.mark.parametrize(("fails", "expected"), [(False, "delivered"), (True, 132015)])
async def test_a_template_is_held_until_its_quality_is_assessed(
    meta: Emulator, ann: Person, fails: bool, expected: Any
) -> None:
    template = await approved(meta, "hello")
    await meta.call("POST", "/faults", name="template_held", seconds=3600, fails=fails, times=1)
    held, free = await meta.send(ann, **template), await meta.send(ann, **template)
    states = [answer["messages"][0]["message_status"] for answer in (held, free)]
    assert states == ["held_for_quality_assessment", "accepted"]
    assert await outcome(meta, free) == "delivered"
    assert await statuses(meta, wamid_of(held)) == []
    await meta.call("POST", "/clock", advance_seconds=3601)
    assert await outcome(meta, held) == expected


async def updates(meta: Emulator, field: str) -> list[dict[str, Any]]:
    deliveries = (await meta.call("GET", "/webhooks"))["deliveries"]
    changes = [change for d in deliveries for entry in d["body"]["entry"] for change in entry["changes"]]
    return [change["value"] for change in changes if change["field"] == field]


async def last_message(meta: Emulator) -> Any:
    return [message for value in await updates(meta, "messages") for message in value.get("messages", ())][-1]


async def test_media_that_meta_cannot_download_comes_as_an_error(meta: Emulator, ann: Person) -> None:
    file = {"data_base64": "eA==", "mime_type": "image/png", "caption": "Look", "unreadable": True}
    acts = f"/people/{ann.person_id}/messages"
    await meta.call("POST", acts, phone_number_id=meta.number, type="image", file=file)
    message = await last_message(meta)
    assert message["image"] == {"mime_type": "image/png", "caption": "Look"}
    assert [error["code"] for error in message["errors"]] == [131052]


async def test_ids_of_an_enrolled_portfolio_go_with_every_webhook(meta: Emulator) -> None:
    made = await meta.call("POST", "/people", name="Bo", phone="15550100002", parent_user_id="US.ENT.7")
    bo = Person(made["person_id"], made["wa_id"])
    await meta.say(bo, "Hi")
    value = (await updates(meta, "messages"))[-1]
    assert value["contacts"][0]["parent_user_id"] == value["messages"][0]["from_parent_user_id"] == "US.ENT.7"
    body = {"messaging_product": "whatsapp", "recipient": "US.ENT.7", **TEXT}
    answer = await meta.graph("POST", f"{meta.number}/messages", body)
    told = await last_status(meta, wamid_of(answer), "delivered")
    assert told["recipient_parent_user_id"] == "US.ENT.7"


@pytest.mark.parametrize(("told", "by_message", "by_field"), [("system", 1, 0), ("field", 0, 1), ("both", 1, 1)])
async def test_a_new_user_id_is_told_in_the_way_that_is_wished(
    meta: Emulator, ann: Person, told: str, by_message: int, by_field: int
) -> None:
    old = (await meta.call("GET", "/people"))["people"][0]["user_id"]
    new = (await meta.call("POST", f"/people/{ann.person_id}/user_id", told=told))["user_id"]
    systems = [m for v in await updates(meta, "messages") for m in v.get("messages", ()) if m["type"] == "system"]
    changes = [change for value in await updates(meta, "user_id_update") for change in value["user_id_update"]]
    assert (len(systems), len(changes)) == (by_message, by_field)
    for message in systems:
        system = message["system"]
        assert (system["type"], system["wa_id"]) == ("user_changed_user_id", ann.wa_id)
        assert (message["from_user_id"], system["previous_user_id"], system["user_id"]) == (old, old, new)
    for change in changes:
        assert (change["wa_id"], change["user_id"]) == (ann.wa_id, {"previous": old, "current": new})


async def test_a_hidden_number_stays_hidden_when_it_changes(meta: Emulator) -> None:
    made = await meta.call("POST", "/people", name="Bo", phone="15550100002", hides_phone=True)
    await meta.say(Person(made["person_id"], made["wa_id"]), "Hi")
    changed = await meta.call("PATCH", f"/people/{made['person_id']}", phone="15550100003")
    message = await last_message(meta)
    assert message["system"]["user_id"] == changed["user_id"]
    assert message["system"]["previous_user_id"] == message["from_user_id"] == made["user_id"]
    assert "1555010000" not in str(message)
