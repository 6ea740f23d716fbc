"""``/healthz``: the process is alive. ``/readyz``: it can do its work, and what is missing if not."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Literal

import asyncpg
from fastapi import APIRouter, Response
from pydantic import BaseModel

from greenline.api.deps import AppServices, Services
from greenline.store.migrate import newest_migration

router = APIRouter(tags=["Health"])

DATABASE_SECONDS: Final = 2.0


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """One thing that must be in order."""

    ok: bool
    details: dict[str, Any] = {}


class Readiness(BaseModel):
    """Whether the server can take work, check by check."""

    status: Literal["ready", "draining", "not_ready"]
    checks: dict[str, Check]


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> Alive:
    """Answer as long as the process lives; restart it when it does not."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(services: Services, response: Response) -> Readiness:
    """Answer 200 when the server can take work, else 503; send it no traffic then."""
    checks = {"database": await _database(services), "workers": _workers(services)}
    ready = all(check.ok for check in checks.values())
    status: Literal["ready", "draining", "not_ready"] = "ready" if ready else "not_ready"
    if services.lifecycle.draining:
        status = "draining"
    if status != "ready":
        response.status_code = 503
    return Readiness(status=status, checks=checks)


async def _database(services: AppServices) -> Check:
    begun = time.perf_counter()
    details: dict[str, Any] = {"embedded": services.settings.database_url is None}
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            migration = await newest_migration(services.pool)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return Check(ok=False, details=details | {"error": str(error) or type(error).__name__})
    milliseconds = round((time.perf_counter() - begun) * 1000, 1)
    return Check(ok=True, details=details | {"milliseconds": milliseconds, "migration": migration})


def _workers(services: AppServices) -> Check:
    states = {name: state for part in services.lifecycle.parts for name, state in part.state().items()}
    return Check(ok=all(states.values()), details=dict(states))
