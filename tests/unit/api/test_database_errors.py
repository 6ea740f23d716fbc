"""What a client is told of a database in trouble."""

from __future__ import annotations

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from greenline.api.errors import install


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (asyncpg.DiskFullError("could not extend file"), "no room on its disk"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "can't be reached at this moment"),
        (asyncpg.DeadlockDetectedError("deadlock detected"), "Nothing was done: try again"),
        (ConnectionRefusedError("refused"), "can't be reached at this moment"),
    ],
)
async def test_a_database_in_trouble_is_told_and_can_be_asked_again(error: Exception, told: str) -> None:
    app = FastAPI()
    install(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert told in answer.json()["detail"]["message"]
