"""What every route stands on: keys, errors, limits, health, documentation."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs

from greenline.clock import ManualClock
from greenline.workspaces import service
from greenline.workspaces.keyring import REMEMBERED
from support.http import http_client
from support.server import RunningServer

AGENTS = "/v1/convai/agents"


async def test_a_key_is_needed(http: httpx2.AsyncClient) -> None:
    answer = await http.get(AGENTS, headers={"xi-api-key": ""})
    assert answer.status_code == 401
    assert answer.json()["detail"]["status"] == "needs_authorization"


async def test_an_unknown_key_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.get(AGENTS, headers={"xi-api-key": "gl_unknown"})
    assert answer.status_code == 401
    assert answer.json()["detail"]["status"] == "invalid_api_key"


async def test_a_key_may_come_as_a_bearer_token(server: RunningServer) -> None:
    async with http_client(server.url) as http:
        answer = await http.get(AGENTS, headers={"authorization": f"Bearer {server.api_key}"})
    assert answer.status_code == 200


async def test_a_revoked_key_is_refused_within_seconds(
    http: httpx2.AsyncClient, server: RunningServer, clock: ManualClock
) -> None:
    pool = server.services.pool
    workspace = await service.create(pool, clock, "Shop")
    key = await service.create_key(pool, clock, workspace.id, "till")
    assert (await http.get(AGENTS, headers={"xi-api-key": key.secret})).status_code == 200
    await service.revoke_key(pool, clock, workspace.id, key.id)
    clock.advance(REMEMBERED + timedelta(milliseconds=1))
    assert (await http.get(AGENTS, headers={"xi-api-key": key.secret})).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("GET", f"{AGENTS}/agent_unknown", 404, None),
    ],
)
async def test_errors_have_the_shape_of_the_reference(
    method: str, path: str, status: int, code: str | None, http: httpx2.AsyncClient
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert set(detail) >= {"status", "message"}
    assert code is None or detail["status"] == code


BODIES = {
    "no JSON": b"{",
    "not UTF-8": b'{"name": "\xff"}',
    "NaN": b'{"conversation_config": NaN}',
    "NUL": b'{"conversation_config": {}, "name": "a\\u0000b"}',
    "NUL in a key": b'{"conversation_config": {"a\\u0000": 1}}',
    "lone surrogate": b'{"conversation_config": {}, "name": "\\ud83d"}',
    "deep": b'{"conversation_config":' + b'{"x":' * 2000 + b"1" + b"}" * 2001,
    "deep, still readable": b'{"conversation_config":' + b'{"x":' * 300 + b"1" + b"}" * 301,
    "a list": b"[]",
    "a text": b'"text"',
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_bad_bodies_are_refused_as_a_list_of_places(body: bytes, http: httpx2.AsyncClient) -> None:
    answer = await http.post(f"{AGENTS}/create", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    for item in answer.json()["detail"]:
        assert set(item) == {"type", "loc", "msg", "input"}
        assert item["loc"][0] == "body"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", None])
async def test_another_content_type_is_refused(kind: str | None, http: httpx2.AsyncClient) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await http.post(f"{AGENTS}/create", content=b'{"conversation_config": {}}', headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("announced", [True, False])
async def test_a_huge_body_is_refused(*, announced: bool, http: httpx2.AsyncClient, server: RunningServer) -> None:
    size = server.services.settings.request_max_bytes + 1

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(0, size, 65536):
            yield b" " * 65536

    answer = await http.post(f"{AGENTS}/create", content=b" " * size if announced else chunks())
    assert answer.status_code == 413
    assert answer.json()["detail"]["status"] == "request_too_large"


async def test_a_huge_upload_of_unknown_length_is_refused(http: httpx2.AsyncClient, server: RunningServer) -> None:
    size = server.services.settings.upload_max_bytes

    async def form() -> AsyncIterator[bytes]:
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        for _ in range(0, size, 65536):
            yield b" " * 65536
        yield b"\r\n--B--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=B"}
    answer = await http.post("/v1/convai/conversations/conv_1/files", content=form(), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["detail"]["status"] == "request_too_large"


@pytest.mark.parametrize("path", [f"{AGENTS}/%00", f"{AGENTS}?search=%00", f"{AGENTS}/agent_%ED%A0%80"])
async def test_addresses_that_can_not_be_stored_are_refused(path: str, http: httpx2.AsyncClient) -> None:
    assert (await http.get(path)).status_code in {404, 422}


async def test_large_numbers_are_kept_as_far_as_json_allows(http: httpx2.AsyncClient) -> None:
    body = b'{"conversation_config": {"unknown_field": 123456789012345678901234567890}}'
    made = await http.post(f"{AGENTS}/create", content=body, headers={"content-type": "application/json"})
    agent = await http.get(f"{AGENTS}/{made.json()['agent_id']}")
    assert agent.json()["conversation_config"]["unknown_field"] == pytest.approx(1.2345678901234568e29)


async def test_a_fault_is_told_by_the_id_of_the_request(http: httpx2.AsyncClient, server: RunningServer) -> None:
    @server.app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret detail")

    answer = await http.get("/broken")
    assert answer.status_code == 500
    detail = answer.json()["detail"]
    assert detail["status"] == "internal_error"
    assert detail["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


async def test_a_request_keeps_a_readable_id_of_its_client(http: httpx2.AsyncClient) -> None:
    given = await http.get("/healthz", headers={"x-request-id": "trace-17.a"})
    assert given.headers["x-request-id"] == "trace-17.a"
    strange = await http.get("/healthz", headers={"x-request-id": "a b" * 100})
    assert strange.headers["x-request-id"].startswith("req_")


async def test_health(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    ready = await http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["checks"]["database"]["details"]["migration"].startswith("00")
    for path in ("/healthz", "/readyz"):  # as many watchers ask
        looked = await http.head(path)
        assert (looked.status_code, looked.content) == (200, b"")


async def test_readiness_tells_of_a_lost_database(http: httpx2.AsyncClient, server: RunningServer) -> None:
    await server.services.pool.close()
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["ok"] is False
    refused = await http.get(AGENTS)
    assert refused.status_code == 503
    assert refused.json()["detail"]["status"] == "system_busy"


async def test_a_draining_server_is_not_ready(http: httpx2.AsyncClient, server: RunningServer) -> None:
    await server.services.lifecycle.drain(1)
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


async def test_metrics_count_requests(http: httpx2.AsyncClient) -> None:
    await http.get("/healthz")
    text = (await http.get("/metrics")).text
    assert 'greenline_http_request_seconds_count{method="GET",route="/healthz",status="200"}' in text
    assert "greenline_database_connections" in text


async def test_the_documentation_needs_no_other_server(http: httpx2.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert "/v1/convai/agents" in schema["paths"]
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert (await http.head(f"/docs/files/{name}")).status_code == 200


async def test_the_official_sdk_is_understood(client: AsyncElevenLabs) -> None:
    made = await client.conversational_ai.agents.create(conversation_config={})
    agent = await client.conversational_ai.agents.get(made.agent_id)
    assert agent.agent_id == made.agent_id


async def test_many_requests_at_once(http: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get(AGENTS) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
