"""An agent's own model, through the outbound guard; and the models that a server makes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from greenline.llm.errors import AllModelsFailed
from greenline.llm.factory import build_models
from greenline.llm.models import Cascade, CustomLlm, Message, ModelReply, ModelRequest, TextPart
from greenline.settings import Settings
from greenline.tools.guard import guarded_client
from support.fake_llm import FakeLlm, Play, chunk, fails, fake_llm, says

LOOPBACK = ("127.0.0.0/8",)
HELLO = (Message("system", (TextPart("# Hours\nWe open at nine."),)), Message("user", (TextPart("Hello"),)))


@pytest.fixture
async def fake() -> AsyncIterator[FakeLlm]:
    async with fake_llm(says("From the fake")) as server:
        yield server


async def complete(
    request: ModelRequest, *, environ: dict[str, str] | None = None, **settings: Any
) -> ModelReply | AllModelsFailed:
    made = Settings(**{"outbound_allow": LOOPBACK, **settings})
    models, endpoints = build_models(made, environ or {}, guarded_client(made))
    try:
        return await models.complete(request)
    except AllModelsFailed as error:
        return error
    finally:
        await endpoints.aclose()


def custom(url: str, **more: Any) -> ModelRequest:
    return ModelRequest("custom-llm", HELLO, custom_llm=CustomLlm(url, **more), extra_body={"customer": 7})


def failed(result: ModelReply | AllModelsFailed) -> AllModelsFailed:
    assert isinstance(result, AllModelsFailed)
    return result


async def test_a_custom_model_answers(fake: FakeLlm) -> None:
    headers = {"X-Tenant": "t1"}
    reply = await complete(custom(fake.url, model_id="mine", api_key="k1", headers=headers, api_version="2026-01"))
    assert isinstance(reply, ModelReply)
    assert (reply.model, reply.text) == ("custom-llm", "From the fake")
    (seen,) = fake.seen
    assert seen.path == "/v1/chat/completions?api-version=2026-01"
    assert (seen.headers["authorization"], seen.headers["x-tenant"]) == ("Bearer k1", "t1")
    assert (seen.body["model"], seen.body["elevenlabs_extra_body"]) == ("mine", {"customer": 7})


async def test_what_it_has_for_the_client(fake: FakeLlm) -> None:
    pieces: list[Any] = [
        chunk({"content": "Here"}, metadata={"page": "tea", "score": 1}),
        chunk({"content": " it is", "metadata": {"page": "oolong"}}),
        chunk(finish="stop", metadata="none"),
    ]
    fake.will(Play(pieces))
    reply = await complete(custom(fake.url))
    assert isinstance(reply, ModelReply)
    assert (reply.text, reply.metadata) == ("Here it is", {"page": "oolong", "score": 1})
    environ = {"OPENAI_API_KEY": "k1"}
    hosted = await complete(ModelRequest("gpt-4o", HELLO), environ=environ, llm_base_urls={"openai": fake.url})
    assert isinstance(hosted, ModelReply)
    assert (hosted.text, hosted.metadata) == ("Here it is", {}), "a vendor has nothing to tell the client"


async def test_what_no_frame_can_hold_is_kept_from_the_client(fake: FakeLlm) -> None:
    odd = {"page": "tea \ud800", "order": 2**70, "deep": {"orders": [2**64]}}
    fake.will(Play([chunk({"content": "Here"}, metadata=odd), chunk(finish="stop")]))
    reply = await complete(custom(fake.url))
    assert isinstance(reply, ModelReply)
    assert reply.metadata == {"page": "tea \N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("suffix", ["", "/", "/chat/completions", "/chat/completions/"])
async def test_the_address_may_be_the_base_or_the_whole(fake: FakeLlm, suffix: str) -> None:
    await complete(custom(fake.url + suffix))
    assert fake.seen[0].path == "/v1/chat/completions"
    assert fake.seen[0].body["model"] == "custom-llm"


async def test_its_own_authorization_is_kept_and_none_is_invented(fake: FakeLlm) -> None:
    await complete(custom(fake.url, headers={"Authorization": "Basic abc"}))
    await complete(custom(fake.url), environ={"OPENAI_API_KEY": "sk-of-the-server"})
    assert fake.seen[0].headers["authorization"] == "Basic abc"
    assert "authorization" not in fake.seen[1].headers
    assert "sk-of-the-server" not in str(fake.seen)


async def test_the_responses_api(fake: FakeLlm) -> None:
    delta = {"type": "response.output_text.delta", "delta": "Hi", "item_id": "m", "output_index": 0}
    whole = {"id": "r1", "object": "response", "output": [], "metadata": {"page": "oolong"}}
    fake.will(Play([delta, {"type": "response.completed", "response": whole}]))
    reply = await complete(custom(fake.url + "/responses", api_type="responses"))
    assert isinstance(reply, ModelReply)
    assert (reply.text, fake.seen[0].path) == ("Hi", "/v1/responses")
    assert reply.metadata == {"page": "oolong"}
    assert fake.seen[0].body["elevenlabs_extra_body"] == {"customer": 7}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ModelRequest("custom-llm", HELLO), "custom_llm.url"),
        (custom("http://host/v1", api_type="websocket"), "no published protocol"),
        (custom("ftp://host/v1"), "https://"),
        (custom("host/v1"), "https://"),
        (custom("http://host:port/v1"), "no address"),
        (custom("http://host/v1", headers={"x": "a\nb"}), "HTTP does not carry"),
    ],
)
async def test_a_wrong_configuration_is_told_once(request_: ModelRequest, words: str) -> None:
    (attempt,) = failed(await complete(request_)).attempts
    assert attempt.error.startswith("configuration: ")
    assert words in attempt.error


async def test_it_does_not_reach_inwards(fake: FakeLlm) -> None:
    attempts = failed(await complete(custom(fake.url), outbound_allow=())).attempts
    assert "GREENLINE_OUTBOUND_ALLOW" in attempts[0].error
    assert fake.seen == []


async def test_it_is_asked_again_and_never_replaced(fake: FakeLlm) -> None:
    fake.will(fails(500), fails(429), says("At last"))
    reply = await complete(
        replace(custom(fake.url), cascade=Cascade(("gpt-4o",), 4.0)), environ={"OPENAI_API_KEY": "k"}
    )
    assert isinstance(reply, ModelReply)
    assert [attempt.model for attempt in reply.attempts] == ["custom-llm", "custom-llm"]
    assert reply.model == "custom-llm"


async def test_secrets_stay_out_of_reprs() -> None:
    request = custom("http://host", api_key="k-secret", headers={"x": "h-secret"})
    assert "secret" not in repr(request)
    assert "secret" not in repr(request.custom_llm)


async def test_a_server_without_keys_answers_offline() -> None:
    reply = await complete(ModelRequest("gemini-2.5-flash", HELLO))
    assert isinstance(reply, ModelReply)
    assert (reply.model, reply.text) == ("offline", "Hello! What can I do for you?")


async def test_a_mapped_model_answers_under_the_name_it_was_mapped_to(fake: FakeLlm) -> None:
    reply = await complete(
        ModelRequest("gemini-2.5-flash", HELLO, extra_body={"customer": 7}),
        environ={"MINE_API_KEY": "k-mine"},
        llm_map={"*": "mine:big-model"},
        llm_base_urls={"mine": fake.url},
        outbound_allow=(),  # an operator's own endpoint is not an agent's: the guard has no say
    )
    assert isinstance(reply, ModelReply)
    assert (reply.model, reply.text) == ("mine:big-model", "From the fake")
    (seen,) = fake.seen
    assert (seen.headers["authorization"], seen.body["model"]) == ("Bearer k-mine", "big-model")
    assert "customer" not in str(seen.body)


@pytest.mark.parametrize(
    ("provider", "key", "model"),
    [
        ("openai", "OPENAI_API_KEY", "gpt-4o"),
        ("anthropic", "ANTHROPIC_API_KEY", "claude-haiku-4-5"),
        ("gemini", "GEMINI_API_KEY", "gemini-2.5-flash"),
        ("groq", "GROQ_API_KEY", "gpt-oss-20b"),
        ("xai", "XAI_API_KEY", "grok-beta"),
    ],
)
async def test_each_provider_by_its_key(fake: FakeLlm, provider: str, key: str, model: str) -> None:
    reply = await complete(ModelRequest(model, HELLO), environ={key: "k1"}, llm_base_urls={provider: fake.url})
    assert isinstance(reply, ModelReply)
    assert reply.model == model
    assert fake.seen[0].headers["authorization"] == "Bearer k1"


async def test_the_other_provider_takes_over(fake: FakeLlm) -> None:
    async with fake_llm(fails(500)) as broken:
        reply = await complete(
            ModelRequest("gpt-4o", HELLO),
            environ={"OPENAI_API_KEY": "k1", "GEMINI_API_KEY": "k2"},
            llm_base_urls={"openai": broken.url, "gemini": fake.url},
            llm_backups=("gemini-2.5-flash",),
        )
    assert isinstance(reply, ModelReply)
    assert reply.model == "gemini-2.5-flash"
    assert reply.attempts[0].model == "gpt-4o"
    assert "HTTP 500" in reply.attempts[0].error


async def test_the_guarded_client_is_closed_with_the_endpoints() -> None:
    http = httpx2.AsyncClient()
    _, endpoints = build_models(Settings(), {}, http)
    await endpoints.aclose()
    assert http.is_closed


async def test_the_offline_script_of_the_server() -> None:
    reply = await complete(ModelRequest("offline", HELLO), llm_offline_script="offline: when hello -> say Ahoy!")
    assert isinstance(reply, ModelReply)
    assert reply.text == "Ahoy!"


async def test_a_backup_without_its_values_is_a_failed_attempt() -> None:
    request = ModelRequest(
        "offline", HELLO, custom_llm_fault="a header has no value", cascade=Cascade(("custom-llm", "offline"))
    )
    assert isinstance(await complete(request), ModelReply)
    failed = await complete(replace(request, model="custom-llm"))
    assert isinstance(failed, AllModelsFailed)
    assert [attempt.error for attempt in failed.attempts] == ["configuration: a header has no value"]
