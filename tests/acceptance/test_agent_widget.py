"""What the web widget reads of an agent, and the link under which it is shared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs

from support.http import http_client
from support.server import RunningServer
from support.shapes import assert_complete

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
async def visitor(server: RunningServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without a key."""
    async with http_client(server.url) as browser:
        yield browser


async def create(client: AsyncElevenLabs, config: Any = None, **platform: Any) -> str:
    agents = client.conversational_ai.agents
    made = await agents.create(conversation_config=config or {}, platform_settings=platform)
    agent_id: str = made.agent_id
    return agent_id


async def test_a_link_has_the_token_that_is_set(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    link = client.conversational_ai.agents.link
    private, shared = await create(client), await create(client, auth={"shareable_token": "tok"})

    assert (await link.get(private)).token is None
    found = await link.get(shared)
    assert found.token is not None
    assert (found.agent_id, found.token.conversation_token, found.token.purpose) == (shared, "tok", "shareable_link")
    raw = await http.get(f"/v1/convai/agents/{shared}/link")
    assert_complete(sdk.GetAgentLinkResponseModel, raw.json())
    assert (await http.get("/v1/convai/agents/agent_none/link")).status_code == 404


async def test_a_widget_reads_its_settings_without_a_key(
    client: AsyncElevenLabs, visitor: httpx2.AsyncClient
) -> None:
    config = {
        "agent": {"first_message": "Hello!", "language": "en"},
        "language_presets": {"de": {"overrides": {"agent": {"first_message": "Hallo!"}}}},
        "tts": {"model_id": "eleven_flash_v2_5"},
    }
    widget = {
        "variant": "compact",
        "language_selector": True,
        "language_presets": {"de": {"terms_text": "Bedingungen"}, "fr": {"terms_html": "<b>Conditions</b>"}},
        "terms_text": "Be <nice>\nto us.\n\nWe record.",
    }
    agent_id = await create(client, config, widget=widget)

    answer = await visitor.get(f"/v1/convai/agents/{agent_id}/widget")

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert_complete(sdk.GetAgentEmbedResponseModel, answer.json())
    found = (await client.conversational_ai.agents.widget.get(agent_id)).widget_config
    assert (found.variant, found.language, found.first_message) == ("compact", "en", "Hello!")
    assert (found.text_only, found.supports_text_only, found.use_rtc) == (False, True, False)
    assert found.supported_language_overrides == ["de"]
    assert found.language_presets is not None
    assert found.file_input_config is not None
    assert (found.language_presets["de"].first_message, found.language_presets["de"].terms_text) == (
        "Hallo!",
        "Bedingungen",
    )
    assert found.language_presets["fr"].terms_html == "<b>Conditions</b>"
    assert found.language_presets["de"].terms_html == "<p>Bedingungen</p>"
    assert found.terms_html == "<p>Be &lt;nice&gt;<br>to us.</p><p>We record.</p>", "it asks for no consent to text"
    assert found.file_input_config.enabled is True


async def test_a_widget_is_let_in_as_its_socket_is(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    auth = {"enable_auth": True, "allowlist": [{"hostname": "shop.example"}]}
    agent_id = await create(client, auth=auth)
    path = f"/v1/convai/agents/{agent_id}/widget"
    signed = await client.conversational_ai.conversations.get_signed_url(agent_id=agent_id)
    signature = {"conversation_signature": httpx2.URL(signed.signed_url).params["conversation_signature"]}

    async def status(browser: httpx2.AsyncClient, origin: str | None = None, **params: str) -> int:
        headers = {"origin": origin} if origin else {}
        return (await browser.get(path, params=params, headers=headers)).status_code

    assert await status(http) == 200
    assert await status(visitor) == 403
    assert await status(visitor, **signature) == 200
    assert await status(visitor, "https://shop.example", **signature) == 200
    assert await status(visitor, "https://thief.example", **signature) == 403
    assert await status(visitor, conversation_signature="nonsense") == 403
    unknown = await visitor.get("/v1/convai/agents/agent_none/widget")
    assert (unknown.status_code, unknown.json()["detail"]["status"]) == (404, "agent_not_found")


async def test_an_avatar_is_shown_to_everybody(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    agent_id = await create(client)
    before = await client.conversational_ai.agents.get(agent_id)

    made = await client.conversational_ai.agents.widget.avatar.create(
        agent_id, avatar_file=("me.png", PNG, "image/png")
    )

    assert made.agent_id == agent_id
    assert made.avatar_url is not None
    picture = await visitor.get(made.avatar_url)
    assert (picture.status_code, picture.headers["content-type"], picture.content) == (200, "image/png", PNG)
    after = await client.conversational_ai.agents.get(agent_id)
    avatar: Any = after.platform_settings.widget.avatar
    assert (avatar.type, avatar.url) == ("image", made.avatar_url)
    assert after.version_id != before.version_id


async def test_an_avatar_goes_with_the_last_agent_that_shows_it(
    client: AsyncElevenLabs, visitor: httpx2.AsyncClient, server: RunningServer
) -> None:
    agents = client.conversational_ai.agents
    original = await create(client)
    first = await agents.widget.avatar.create(original, avatar_file=("me.png", PNG, "image/png"))
    copy = (await agents.duplicate(original)).agent_id
    second = await agents.widget.avatar.create(original, avatar_file=("new.png", PNG, "image/png"))
    assert first.avatar_url is not None
    assert second.avatar_url is not None
    stored = server.services.settings.data_dir / "files"

    await agents.delete(original)

    assert [file.name for file in stored.glob("*/avatar_*")] == [first.avatar_url.rsplit("/", 1)[1]]
    assert (await visitor.get(first.avatar_url)).content == PNG
    assert (await visitor.get(second.avatar_url)).status_code == 404

    await agents.delete(copy)

    assert list(stored.glob("*/avatar_*")) == []
    assert await server.services.pool.fetchval("select count(*) from orphaned_file") == 0


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"%PDF-1.7", 400, "unsupported_file_type"),
        (b"\x00\xff\x00", 400, "unsupported_file_type"),
        (b"words", 400, "unsupported_file_type"),
        (b"", 400, "empty_file"),
        (PNG + bytes(2_000_000), 413, "file_too_large"),
    ],
)
async def test_what_is_no_small_picture_is_refused(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, data: bytes, status: int, code: str
) -> None:
    agent_id = await create(client)
    answer = await http.post(f"/v1/convai/agents/{agent_id}/avatar", files={"avatar_file": ("a.png", data)})
    assert (answer.status_code, answer.json()["detail"]["status"]) == (status, code)


async def test_only_pictures_are_public(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    agent_id = await create(client)
    for file_id in (
        "file_01m846c4w46xwwbeggda5qmmj5",
        "avatar_01m846c4w46xwwbeggda5qmmj5",
        "avatar_..%2f..%2fsecret",
    ):
        answer = await visitor.get(f"/v1/convai/agents/{agent_id}/avatar/{file_id}")
        assert answer.status_code == 404, file_id
    upload = await http.post("/v1/convai/agents/agent_none/avatar", files={"avatar_file": ("a.png", PNG)})
    assert upload.status_code == 404
