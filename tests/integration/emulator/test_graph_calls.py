"""How Graph calls are written: tokens, parameters, fields, lists; and files that no message carries."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from greenline.channels.whatsapp import graph as graph_client
from greenline.settings import Settings
from support.meta import Emulator, emulator, emulator_here
from support.wait import until

TEXT = {"body": "Hello"}
HEADER = {"type": "HEADER", "format": "IMAGE"}
BODY = {"type": "BODY", "text": "Hello."}
JPEG = b"\xff\xd8\xff\xe0" + bytes(60)


@pytest.fixture
async def meta() -> AsyncIterator[Emulator]:
    async with emulator_here() as running:
        yield running


@pytest.fixture
def app_token(meta: Emulator) -> str:
    return f"{meta.business['app_id']}|{meta.business['app_secret']}"


async def call(meta: Emulator, method: str, path: str, **options: Any) -> Any:
    """A Graph call exactly as ``options`` of the HTTP client say; returns the answer's body."""
    return (await meta.http.request(method, f"/v25.0/{path}", **options)).json()


# Tokens


async def test_an_app_gets_a_token_of_its_own(meta: Emulator, app_token: str) -> None:
    ids = {"client_id": meta.business["app_id"], "client_secret": meta.business["app_secret"]}
    asked = {**ids, "grant_type": "client_credentials"}
    assert await call(meta, "GET", "oauth/access_token", params=asked) == {
        "access_token": app_token,
        "token_type": "bearer",
    }
    assert (await call(meta, "POST", "oauth/access_token", data=asked))["access_token"] == app_token
    wrong = {**asked, "client_secret": "0" * 32}
    assert (await call(meta, "GET", "oauth/access_token", params=wrong))["error"]["code"] == 1


@pytest.mark.parametrize("place", ["params", "data"])
async def test_a_token_among_the_parameters_goes_before_that_of_the_header(
    meta: Emulator, app_token: str, place: str
) -> None:
    path, headers = f"{meta.business['app_id']}/subscriptions", {"Authorization": f"Bearer {meta.business['token']}"}
    asked = {"access_token": app_token, "object": "whatsapp_business_account", "callback_url": "nowhere"}
    refused = await call(meta, "POST", path, headers=headers, **{place: asked})
    assert refused["error"]["code"] == 2200, "the callback is judged, and so the token was taken"
    node = {"access_token": "wrong", "verify_token": "x"}
    answer = await call(meta, "POST", f"{meta.number}/deregister", headers=headers, **{place: node})
    assert answer["error"]["code"] == 190


async def test_a_token_in_the_header_is_enough(meta: Emulator, app_token: str) -> None:
    headers = {"Authorization": f"Bearer {app_token}"}
    path = f"{meta.business['app_id']}/subscriptions"
    assert await call(meta, "GET", path, headers=headers) == {"data": []}


# Parameters


async def test_values_of_a_form_are_objects_where_they_are_json(meta: Emulator) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.say(ann, "Hi")
    form = {"messaging_product": "whatsapp", "to": f"+{ann.wa_id}", "type": "text", "text": json.dumps(TEXT)}
    form |= {"access_token": meta.business["token"], "biz_opaque_callback_data": '{"ours": 1}'}
    assert "messages" in await call(meta, "POST", f"{meta.number}/messages", data=form)
    assert await meta.told(ann, 1) == ["Hello"]
    [shown] = [m for m in await meta.chat(ann) if m["direction"] == "out"]
    assert shown["biz_opaque_callback_data"] == '{"ours": 1}', "what is a text by its name stays one"
    for broken in ('{"body": "Hello"', '{"body": "\\ud800"}', "[1]"):
        refused = await call(meta, "POST", f"{meta.number}/messages", data={**form, "text": broken})
        assert (refused["error"]["code"], "text" in refused["error"]["error_data"]["details"]) == (100, True)


async def test_a_file_is_refused_where_a_value_is_wanted(meta: Emulator) -> None:
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    file = {"storage_configuration": ("a.txt", b"Hi", "text/plain")}
    refused = await call(meta, "POST", f"{meta.number}/settings", files=file, headers=headers)
    assert refused["error"]["code"] == 100
    assert "storage_configuration" not in await meta.graph("GET", f"{meta.number}/settings")


async def test_parameters_may_stand_in_the_address(meta: Emulator) -> None:
    asked = {"pin": "012345", "messaging_product": "whatsapp", "access_token": meta.business["token"]}
    assert await call(meta, "POST", f"{meta.number}/register", params=asked) == {"success": True}
    wrong = {**asked, "pin": "543210"}
    assert (await call(meta, "POST", f"{meta.number}/register", params=wrong))["error"]["code"] == 133005


# Fields


@pytest.mark.parametrize("node", ["waba_id", "phone_number_id", "template", "media", "profile"])
async def test_a_field_that_meta_does_not_know_is_refused(meta: Emulator, node: str) -> None:
    path = meta.business.get(node) or await made(meta, node)
    assert (await meta.graph("GET", path))["id" if node != "profile" else "data"]
    error = (await meta.graph("GET", f"{path}?fields=id,hologram"))["error"]
    assert (error["code"], error["message"]) == (100, "(#100) Tried accessing nonexisting field (hologram)")
    assert "error_subcode" not in error


async def made(meta: Emulator, node: str) -> str:
    """The path of something new."""
    if node == "template":
        return await template(meta)
    if node == "media":
        file = {"file": ("a.txt", b"Hi", "text/plain")}
        form = {"messaging_product": "whatsapp", "type": "text/plain"}
        headers = {"Authorization": f"Bearer {meta.business['token']}"}
        path = f"{meta.number}/media"
        return str((await call(meta, "POST", path, files=file, data=form, headers=headers))["id"])
    return f"{meta.number}/whatsapp_business_profile"


async def template(meta: Emulator, name: str = "hello", *parts: Any) -> str:
    body = {"name": name, "language": "en", "category": "UTILITY", "components": list(parts) or [BODY]}
    return str((await meta.graph("POST", f"{meta.business['waba_id']}/message_templates", body))["id"])


async def test_a_list_refuses_unknown_fields_too(meta: Emulator) -> None:
    await template(meta)
    for edge in ("phone_numbers", "message_templates"):
        answer = await meta.graph("GET", f"{meta.business['waba_id']}/{edge}?fields=hologram")
        assert answer["error"]["code"] == 100


async def test_a_field_without_a_value_is_left_out(meta: Emulator) -> None:
    answer = await meta.graph("GET", f"{meta.number}?fields=certificate,verified_name,is_on_biz_app")
    assert answer == {"verified_name": "Fern & Field", "is_on_biz_app": False, "id": meta.number}


async def test_fields_may_ask_for_fields_of_their_own(meta: Emulator) -> None:
    await meta.graph("POST", f"{meta.business['waba_id']}/subscribed_apps")
    fields = "name,subscribed_apps.limit(5){whatsapp_business_api_data{id,name}},currency"
    answer = await meta.graph("GET", f"{meta.business['waba_id']}?fields={fields}")
    assert sorted(answer) == ["currency", "id", "name", "subscribed_apps"]


async def test_a_field_that_ended_with_a_version_is_known_before(meta: Emulator) -> None:
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    for version, code in (("v23.0", 200), ("v24.0", 400)):
        answer = await meta.http.get(f"/{version}/{meta.number}?fields=id,username", headers=headers)
        assert answer.status_code == code


async def test_our_client_reads_a_number_from_a_version_that_lacks_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    async with emulator() as meta:
        client = graph_client.GraphClient(Settings(graph_url=meta.url))
        whole = await client.phone_number(meta.number, meta.business["token"])
        assert set(whole) == set(graph_client.NUMBER_FIELDS) | {"webhook_configuration"}
        monkeypatch.setattr(graph_client, "NUMBER_FIELDS", (*graph_client.NUMBER_FIELDS, "hologram"))
        basic = await client.phone_number(meta.number, meta.business["token"])
        assert set(basic) == set(graph_client.BASIC_NUMBER_FIELDS)
        await client.aclose()


# Lists of templates


async def test_templates_are_found_by_what_lists_ask_for(meta: Emulator) -> None:
    await template(meta, "order_ready", {"type": "BODY", "text": "Your fern is here."})
    await template(meta, "sale")
    path = f"{meta.business['waba_id']}/message_templates"

    async def names(query: str) -> list[str]:
        return sorted(row["name"] for row in (await meta.graph("GET", f"{path}?{query}"))["data"])

    assert await names("name=order") == ["order_ready"]
    assert await names("content=FERN") == ["order_ready"]
    assert await names("name_or_content=hello") == ["sale"]
    assert await names("status=PENDING,REJECTED&language=en,de&quality_score=UNKNOWN") == ["order_ready", "sale"]
    assert await names("status=DISABLED") == []
    found = await meta.graph("GET", f"{path}?name=sale&limit=1&summary=total_count")
    assert found["summary"]["total_count"] == 1
    assert found["data"][0]["quality_score"]["score"] == "UNKNOWN"
    assert found["data"][0]["quality_score"]["date"] > 0


# Files for templates


async def session(meta: Emulator, **more: Any) -> Any:
    asked = {"file_name": "a.jpg", "file_length": len(JPEG), "file_type": "image/jpeg", **more}
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    return await call(meta, "POST", f"{meta.business['app_id']}/uploads", params=asked, headers=headers)


async def put(meta: Emulator, upload: str, data: bytes, offset: int = 0, **headers: str) -> Any:
    """Bytes as curl sends them, which calls them a form."""
    headers = {"Authorization": f"OAuth {meta.business['token']}", "file_offset": str(offset), **headers}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await call(meta, "POST", upload, content=data, headers={**kind, **headers})


async def test_a_picture_is_uploaded_and_becomes_the_example_of_a_header(meta: Emulator) -> None:
    upload = (await session(meta))["id"]
    assert upload.startswith("upload:")
    assert "?sig=" in upload
    handle = (await put(meta, upload, JPEG))["h"]
    path = f"{meta.business['waba_id']}/message_templates"
    body = {"name": "pic", "language": "en", "category": "UTILITY"}

    async def create(shown: Any, form: str = "IMAGE") -> Any:
        parts = [{**HEADER, "format": form, "example": shown}, BODY]
        return await meta.graph("POST", path, {**body, "components": parts})

    examples: list[Any] = [{"header_handle": ["4::none"]}, {"header_handle": []}, {"header_url": "x"}, "x"]
    for wrong in examples:
        assert (await create(wrong))["error"]["code"] == 100
    assert (await create({"header_handle": [handle]}, "VIDEO"))["error"]["code"] == 100
    made_ = await create({"header_handle": [handle]})
    assert made_["status"] == "PENDING"
    listed = await meta.graph("GET", made_["id"])
    assert listed["components"][0]["example"] == {"header_handle": [handle]}


async def test_an_upload_goes_on_where_it_broke_off(meta: Emulator) -> None:
    upload = (await session(meta))["id"]
    assert await put(meta, upload, JPEG[:10]) == {"id": upload, "file_offset": 10}
    headers = {"Authorization": f"Bearer {meta.business['token']}"}
    assert (await call(meta, "GET", upload, headers=headers))["file_offset"] == 10
    refused = await put(meta, upload, JPEG)
    assert (refused["error"]["code"], "10" in refused["error"]["error_data"]["details"]) == (100, True)
    assert "h" in await put(meta, upload, JPEG[10:], 10)
    assert (await put(meta, upload, b"x", len(JPEG)))["error"]["error_subcode"] == 33


async def test_a_connection_that_breaks_keeps_what_came() -> None:
    async with emulator() as meta:
        upload = (await session(meta))["id"]
        host, port = meta.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v25.0/{upload} HTTP/1.1\r\nhost: x\r\nfile_offset: 0\r\ncontent-length: {len(JPEG)}\r\n"
        token = meta.business["token"]
        writer.write(f"{head}authorization: OAuth {token}\r\n\r\n".encode() + JPEG[:20])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        headers = {"Authorization": f"Bearer {token}"}

        async def came() -> bool:
            return bool((await call(meta, "GET", upload, headers=headers))["file_offset"] == 20)

        await until(came)
        assert "h" in await put(meta, upload, JPEG[20:], 20)


async def test_what_can_not_be_uploaded_is_refused(meta: Emulator) -> None:
    for wrong in ({"file_type": "image/gif"}, {"file_length": 0}, {"file_length": 10**9}, {"file_length": "x"}):
        assert (await session(meta, **wrong))["error"]["code"] == 100
    upload = (await session(meta))["id"]
    assert (await put(meta, upload, bytes(len(JPEG) + 1)))["error"]["code"] == 100
    assert (await put(meta, upload, bytes(len(JPEG))))["error"]["code"] == 100, "these bytes are no picture"
    second = (await session(meta))["id"]
    assert (await put(meta, second.split("?")[0], JPEG))["error"]["error_subcode"] == 33, "without its signature"
    assert (await put(meta, second, JPEG, Authorization="OAuth wrong"))["error"]["code"] == 190
    other = await meta.call("POST", "/setup")
    stranger: dict[str, Any] = {"Authorization": f"OAuth {other['token']}"}
    assert (await put(meta, second, JPEG, **stranger))["error"]["error_subcode"] == 33
    foreign = httpx2.Headers({"Authorization": f"Bearer {other['token']}"})
    begun = await call(meta, "POST", f"{meta.business['app_id']}/uploads", headers=foreign)
    assert begun["error"]["error_subcode"] == 33
