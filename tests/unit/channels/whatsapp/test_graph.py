"""The Graph client on the wire: what it asks, where tokens go, and what each failure means."""

import base64
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from greenline.channels.whatsapp.graph import GraphClient, SendResult
from greenline.channels.whatsapp.graph_calls import GraphCalls
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_token import NumberToken, Token
from greenline.errors import ConfigurationError
from greenline.settings import Settings
from support.graph_stand_in import meta_error
from support.scripted import Answer, Request, Script, ScriptedServer, answer, scripted

TOKEN = "EAAtoken"
SENT = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+15551230000", "wa_id": "15551230000", "user_id": "US.13"}],
    "messages": [{"id": "wamid.OUT", "message_status": "accepted"}],
}
BODY = {"messaging_product": "whatsapp", "to": "+15551230000", "type": "text", "text": {"body": "é"}}


@asynccontextmanager
async def graph(script: Script, **more: Any) -> AsyncIterator[tuple[GraphClient, ScriptedServer]]:
    async with scripted(script) as server:
        client = GraphClient(Settings(graph_url=server.url, graph_version="v23.0", **more))
        try:
            yield client, server
        finally:
            await client.aclose()


async def failure(client: GraphClient) -> GraphError:
    with pytest.raises(GraphError) as caught:
        await client.send_message("100", TOKEN, BODY)
    return caught.value


async def test_a_message_is_sent_and_its_recipient_learned() -> None:
    async with graph(lambda _: answer(SENT)) as (client, server):
        result = await client.send_message("100", TOKEN, BODY)
    assert result == SendResult("wamid.OUT", "15551230000", "US.13")
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v23.0/100/messages")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.json == BODY


async def test_connections_are_kept() -> None:
    async with graph(lambda _: answer(SENT)) as (client, server):
        for _ in range(3):
            await client.send_message("100", TOKEN, BODY)
    assert server.connections == 1


async def test_reading_and_typing_are_one_request() -> None:
    async with graph(lambda _: answer({"success": True})) as (client, server):
        await client.mark_read("100", TOKEN, "wamid.IN", typing=True)
        await client.mark_read("100", TOKEN, "wamid.IN")
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN"}
    assert [request.json for request in server.requests] == [{**read, "typing_indicator": {"type": "text"}}, read]


async def test_an_error_of_meta_carries_its_code() -> None:
    error = {"error": {"message": "(#131047) Re-engagement", "code": 131047, "error_data": {"details": "24 hours"}}}
    async with graph(lambda _: answer(error, 400)) as (client, _):
        caught = await failure(client)
    assert (caught.code, caught.outcome, caught.details) == (131047, Outcome.PERMANENT, "24 hours")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Answer(cut=True), Outcome.UNKNOWN),
        (Answer(500, b"oops"), Outcome.UNKNOWN),
        (Answer(200, b"not JSON"), Outcome.UNKNOWN),
        (Answer(200, b"[]"), Outcome.UNKNOWN),
        (Answer(200, b'{"messages": []}'), Outcome.UNKNOWN),
        (Answer(429, b"", {"retry-after": "7"}), Outcome.REFUSED),
        (Answer(302, b"", {"location": "http://127.0.0.1:9/"}), Outcome.PERMANENT),
    ],
)
async def test_what_became_of_a_send(reply: Answer, outcome: Outcome) -> None:
    async with graph(lambda _: reply) as (client, server):
        caught = await failure(client)
    assert caught.outcome is outcome
    assert len(server.requests) == 1


async def test_what_became_of_a_send_that_is_not_answered_is_unknown() -> None:
    async with graph(lambda _: Answer(hang=True), graph_timeout_seconds=1.0) as (client, _):
        assert (await failure(client)).outcome is Outcome.UNKNOWN


async def test_no_connection_is_a_refusal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        client = GraphClient(Settings(graph_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
        caught = await failure(client)
        await client.aclose()
    assert caught.outcome is Outcome.REFUSED
    assert caught.code is None


async def test_ids_stay_in_their_place_of_the_path() -> None:
    async with graph(lambda _: answer({})) as (client, server):
        await client.locate_media("100", TOKEN, "../../evil?x=1#y")
        await client.business_account("..", TOKEN)
    assert server.requests[0].target == "/v23.0/..%2F..%2Fevil%3Fx%3D1%23y?phone_number_id=100"
    assert server.requests[1].target == "/v23.0/-?fields=id,name"


async def test_lists_are_read_to_their_end_by_cursor() -> None:
    def pages(request: Request) -> Answer:
        after = parse_qs(urlsplit(request.target).query).get("after", ["0"])[0]
        number = int(after)
        paging: dict[str, Any] = {"cursors": {"after": str(number + 1)}}
        if number < 2:
            paging["next"] = "https://evil.example/?access_token=x"
        return answer({"data": [{"id": f"n{number}"}, "junk"], "paging": paging})

    async with graph(pages) as (client, server):
        rows = await client.phone_numbers("7", TOKEN)
    assert rows == [{"id": "n0"}, {"id": "n1"}, {"id": "n2"}]
    assert len(server.requests) == 3


async def test_a_list_without_end_is_cut() -> None:
    page = {"data": [{"id": "1"}], "paging": {"next": "x", "cursors": {"after": "same"}}}
    async with graph(lambda _: answer(page)) as (client, server):
        await client.templates("7", TOKEN, "welcome")
    assert len(server.requests) == 100


async def test_a_version_without_newer_fields_is_asked_for_the_basic_ones() -> None:
    def old(request: Request) -> Answer:
        if "health_status" in request.target:
            return answer({"error": {"message": "(#100) Tried accessing nonexisting field", "code": 100}}, 400)
        return answer({"id": "100", "verified_name": "Shop"})

    async with graph(old) as (client, server):
        assert (await client.phone_number("100", TOKEN))["verified_name"] == "Shop"
    assert len(server.requests) == 2


async def test_apps_that_are_subscribed() -> None:
    row = {"whatsapp_business_api_data": {"id": "1", "name": "App"}, "override_callback_uri": "https://x"}
    async with graph(lambda _: answer({"data": [row, {}]})) as (client, _):
        assert await client.subscribed_apps("7", TOKEN) == [
            {"id": "1", "name": "App", "override_callback_uri": "https://x"}
        ]


async def test_tokens_are_checked_with_the_apps_own_token() -> None:
    known = {"data": {"is_valid": True}}
    async with graph(lambda _: answer(known), meta_app_id="42", meta_app_secret="new,old") as (client, server):
        assert await client.debug_token(TOKEN) == {"is_valid": True}
    assert server.requests[0].headers["authorization"] == "Bearer 42|new"
    assert server.requests[0].target == f"/v23.0/debug_token?input_token={TOKEN}"


async def test_a_code_becomes_a_token() -> None:
    async with graph(lambda _: answer({"access_token": "EAAb"}), meta_app_id="42", meta_app_secret="s") as (
        client,
        server,
    ):
        assert await client.exchange_code("code") == "EAAb"
    assert server.requests[0].target == "/v23.0/oauth/access_token?client_id=42&client_secret=s&code=code"
    assert "authorization" not in server.requests[0].headers


async def test_without_an_app_a_code_is_a_question_of_settings() -> None:
    client = GraphClient(Settings())
    assert not client.knows_app
    with pytest.raises(ConfigurationError):
        await client.exchange_code("code")
    await client.aclose()


class Media:
    """A Graph API that knows one file."""

    def __init__(self, data: bytes = b"picture", **place: Any) -> None:
        self.data = data
        self.place = {"sha256": hashlib.sha256(data).hexdigest(), **place}
        self.server = ""
        self.replies: list[Answer] = []

    def __call__(self, request: Request) -> Answer:
        if request.target.startswith("/v23.0/900"):
            return answer({"url": f"{self.server}/whatsapp_business/attachments/?mid=900", **self.place})
        return self.replies.pop(0) if self.replies else Answer(200, self.data)


async def fetch(media: Media, sha256: str | None = None, **more: Any) -> tuple[bytes, ScriptedServer]:
    async with graph(media, **more) as (client, server):
        media.server = server.url
        return await client.fetch_media("100", TOKEN, "900", sha256=sha256), server


async def refused(media: Media, sha256: str | None = None, **more: Any) -> GraphError:
    with pytest.raises(GraphError) as caught:
        await fetch(media, sha256, **more)
    return caught.value


async def test_a_file_is_located_and_fetched_with_the_token() -> None:
    digest = base64.b64encode(hashlib.sha256(b"picture").digest()).decode()
    data, server = await fetch(Media(), digest)
    assert data == b"picture"
    assert [urlsplit(request.target).path for request in server.requests] == [
        "/v23.0/900",
        "/whatsapp_business/attachments/",
    ]
    assert all(request.headers["authorization"] == f"Bearer {TOKEN}" for request in server.requests)


@pytest.mark.parametrize("wrong", [base64.b64encode(b"0" * 32).decode(), "0" * 64])
async def test_a_wrong_digest_is_refused(wrong: str) -> None:
    assert "digest" in str(await refused(Media(), wrong))
    assert "digest" in str(await refused(Media(sha256=wrong)))


async def test_digests_that_are_none_are_passed_over() -> None:
    data, _ = await fetch(Media(sha256=None), "not a digest")
    assert data == b"picture"


async def test_a_file_beyond_the_limit_is_cut_off() -> None:
    error = await refused(Media(b"x" * 5000), media_max_bytes=4999)
    assert "4999 bytes" in str(error)


async def test_an_address_that_died_is_asked_for_again() -> None:
    media = Media()
    media.replies = [Answer(404, b"gone")]
    data, server = await fetch(media)
    assert data == b"picture"
    assert len(server.requests) == 4


async def test_a_connection_that_is_cut_again_and_again_is_given_up() -> None:
    media = Media()
    media.replies = [Answer(cut=True)] * 8
    assert (await refused(media)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9",
        "https://evil.example",
        "http://lookaside.fbsbx.com.evil.example",
        "file:///etc/passwd",
        "",
    ],
)
async def test_tokens_go_to_no_stranger(url: str) -> None:
    media = Media(url=f"{url}/x")
    error = await refused(media)
    assert error.outcome is Outcome.PERMANENT or "URL" in str(error)


async def test_redirects_are_followed_to_known_hosts_only() -> None:
    media = Media()
    media.replies = [Answer(302, b"", {"location": "/elsewhere"})]
    data, server = await fetch(media)
    assert data == b"picture"
    assert server.requests[-1].target == "/elsewhere"
    media.replies = [Answer(302, b"", {"location": "http://localhost:9/x"})]
    assert "localhost" in str(await refused(media))
    media.replies = [Answer(302, b"", {"location": "/again"})] * 4
    assert "redirects" in str(await refused(media))


async def test_hosts_of_the_settings_get_the_token() -> None:
    async with scripted(lambda _: Answer(200, b"picture")) as cdn:
        host = urlsplit(cdn.url).netloc.replace("127.0.0.1", "localhost")
        media = Media(url=f"http://{host}/x")
        assert "localhost" in str(await refused(media))
        data, _ = await fetch(media, media_hosts=f"lookaside.fbsbx.com,{host}")
        assert data == b"picture"
        data, _ = await fetch(media, media_hosts="LOCALHOST")
        assert data == b"picture"
        assert [request.headers["authorization"] for request in cdn.requests] == [f"Bearer {TOKEN}"] * 2


async def test_a_file_is_uploaded_as_a_form() -> None:
    async with graph(lambda _: answer({"id": "901"})) as (client, server):
        assert await client.upload_media("100", TOKEN, b"OggS", mime_type="audio/ogg", filename="a.ogg") == "901"
    (request,) = server.requests
    assert request.target == "/v23.0/100/media"
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert b'name="messaging_product"' in request.body
    assert b'filename="a.ogg"' in request.body
    assert b"OggS" in request.body


NUMBER_TOKEN = NumberToken("ws_1", "100", b"sealed", TOKEN)
USES: dict[str, Callable[[GraphClient, GraphCalls, Token], Awaitable[object]]] = {
    "messages": lambda graph, _, token: graph.send_message("100", token, BODY),
    "receipts": lambda graph, _, token: graph.mark_read("100", token, "wamid.1"),
    "templates": lambda graph, _, token: graph.templates("7001", token, "welcome"),
    "media": lambda graph, _, token: graph.fetch_media("100", token, "media_1"),
    "uploads": lambda graph, _, token: graph.upload_media(
        "100", token, b"x", mime_type="audio/ogg", filename="a.ogg"
    ),
    "calls": lambda _, calls, token: calls.act("100", token, "accept", "wacid.1"),
    "permissions": lambda _, calls, token: calls.permission("100", token, wa_id="1", bsuid=None),
}


async def told_of(script: Script, use: str, token: Token) -> set[NumberToken]:
    """The tokens that are told of as dead when Meta answers as ``script`` says."""
    told: set[NumberToken] = set()

    async def tell(dead: NumberToken) -> None:
        told.add(dead)

    async with scripted(script) as server:
        settings = Settings(graph_url=server.url)
        client, calls = GraphClient(settings, tell), GraphCalls(settings, tell)
        with pytest.raises(GraphError):
            await USES[use](client, calls, token)
        await client.aclose()
        await calls.aclose()
    return told


@pytest.mark.parametrize("use", USES)
async def test_whatever_a_dead_token_was_used_for_it_is_told_of(use: str) -> None:
    assert await told_of(lambda _: meta_error(190, 401), use, NUMBER_TOKEN) == {NUMBER_TOKEN}


async def test_a_file_refused_for_its_token_tells_too() -> None:
    def script(request: Request) -> Answer:
        place = f"http://{request.headers['host']}/file/1"
        return meta_error(190, 401) if request.target == "/file/1" else answer({"url": place})

    assert await told_of(script, "media", NUMBER_TOKEN) == {NUMBER_TOKEN}


@pytest.mark.parametrize(
    ("reply", "token"),
    [
        (meta_error(200, 403), NUMBER_TOKEN),  # a permission is missing: it may still send
        (meta_error(131000, 500), NUMBER_TOKEN),
        (Answer(401), NUMBER_TOKEN),  # of a proxy, or an address of a file that has run out
        (meta_error(190, 401), TOKEN),  # of an import: no number has it
    ],
)
async def test_nothing_else_is_told_of_a_token(reply: Answer, token: Token) -> None:
    assert await told_of(lambda _: reply, "templates", token) == set()
