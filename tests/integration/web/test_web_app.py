"""The pages as a part of the server: what is there before anybody opens one."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Message

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.web import ticket
from greenline.web.app import Pages
from greenline.web.session import COOKIE, seal, ticket_link
from support.http import http_client
from support.server import RunningServer, run_server, serve_process
from support.wait import PATIENCE_SECONDS

ELSEWHERE = {"sec-fetch-site": "cross-site"}


def ticket_for(server: RunningServer, key: str = "") -> str:
    return ticket.make(server.services.vault, server.services.clock, key or server.api_key)


async def test_a_key_signs_in_by_form_and_a_ticket_by_link(server: RunningServer) -> None:
    async with http_client(server.url) as http:
        for answer in (
            await http.post("/console/sign-in", data={"key": f" {server.api_key} "}),
            await http.get(ticket_link(server.url, ticket_for(server))),
        ):
            assert (answer.status_code, answer.headers["location"]) == (303, "/console")
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith(f"{COOKIE}=")
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert server.api_key not in cookie
        gone = await http.post("/console/sign-out")
        assert f'{COOKIE}=""' in gone.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "gl_wrong", "\x00", "é"])
async def test_a_wrong_key_gets_no_cookie(server: RunningServer, key: str) -> None:
    async with http_client(server.url) as http:
        answer = await http.post("/console/sign-in", data={"key": key})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console?refused=key")
        assert "set-cookie" not in answer.headers


async def test_a_ticket_opens_once_also_when_shown_many_times_at_once(server: RunningServer) -> None:
    link = ticket_link(server.url, ticket_for(server))
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        places = [answer.headers["location"] for answer in await asyncio.gather(*(http.get(link) for _ in range(5)))]
        assert sorted(places) == ["/console"] + ["/console?refused=link"] * 4


async def test_an_old_or_foreign_ticket_and_a_key_in_the_address_open_nothing(
    server: RunningServer, clock: ManualClock
) -> None:
    old = ticket_for(server)
    clock.advance(ticket.LIFE + timedelta(seconds=1))
    cookie = seal(server.services.vault, server.services.clock, server.api_key)
    async with http_client(server.url) as http:
        shown = (old, cookie, "", "x", "é", "A" * 400, ticket_for(server, "gl_revoked"))
        for query in (*({"ticket": one} for one in shown), {"key": server.api_key}):
            answer = await http.get("/console/sign-in", params=query)
            assert (answer.status_code, answer.headers["location"]) == (303, "/console?refused=link")
            assert "set-cookie" not in answer.headers


async def test_another_site_can_neither_sign_in_nor_out(server: RunningServer) -> None:
    async with httpx2.AsyncClient(
        base_url=server.url, trust_env=False, timeout=PATIENCE_SECONDS, headers=ELSEWHERE
    ) as http:
        form = {"key": server.api_key}
        for answer in (
            await http.post("/console/sign-in", data=form),
            await http.get(ticket_link(server.url, ticket_for(server))),
            await http.post("/console/sign-out"),
        ):
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


async def test_a_huge_form_is_refused(server: RunningServer) -> None:
    async with http_client(server.url) as http:
        assert (await http.post("/console/sign-in", data={"key": "x" * 10_000})).status_code == 413


async def test_without_the_console_its_addresses_answer_as_any_unknown_one(
    settings: Settings, clock: ManualClock
) -> None:
    off = settings.model_copy(update={"console": False})
    async with run_server(off, clock) as server, http_client(server.url) as http:
        for path in ("/", "/console", "/phone", "/console/sign-in", "/_nicegui/x"):
            answer = await http.get(path)
            assert answer.status_code == 404
            assert answer.json()["detail"]["status"] == "not_found"


@pytest.mark.parametrize(("emulator_url", "page"), [(None, "/console"), ("http://127.0.0.1:1", "/phone")])
async def test_the_address_of_the_server_leads_to_a_page(
    settings: Settings, clock: ManualClock, emulator_url: str | None, page: str
) -> None:
    with_pages = settings.model_copy(update={"emulator_url": emulator_url})
    async with (
        run_server(with_pages, clock) as server,
        http_client(server.url) as http,
    ):
        answer = await http.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, page)


async def test_a_page_is_loaded_when_it_is_first_opened(dsn: str, tmp_path: Path) -> None:
    environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": "gl_test", "GREENLINE_LOG_LEVEL": "warning"}
    async with serve_process(tmp_path, environment=environment) as process:
        server = await process.ready()
        async with http_client(server.url) as http:
            assert (await http.get("/v1/nothing")).json()["detail"]["status"] == "not_found"
            phone = await http.get("/phone")
            assert phone.status_code == 200
            assert "greenline demo" in phone.text
            assert phone.headers["content-security-policy"] == "frame-ancestors 'none'"
            console = await http.get("/console")
            assert "API key" in console.text
            assert (await http.get("/phone/media/1")).text == "There is no emulator."
            assert (await http.get("/v1/nothing")).json()["detail"]["status"] == "not_found"
        assert server.errors == []


def test_the_server_is_loaded_without_the_framework_of_its_pages() -> None:
    program = "import sys, greenline.serving; sys.exit('nicegui' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_a_browser_that_is_closed_while_it_loads_is_no_fault() -> None:
    app = FastAPI()
    app.state.services = None
    path = f"/_nicegui/{metadata.version('nicegui')}/static/favicon.ico"
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "app": app}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async with Pages(None) as pages:
        await pages(scope, receive, send)
    assert sent == []
