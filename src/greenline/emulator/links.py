"""Links of media that Meta fetches itself (Meta: Send media by link)."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.limits import files_of
from greenline.emulator.media import TYPES, base_type, check_upload, suits
from greenline.emulator.trust import trust

_LARGEST: Final = max(limit for _, limit in TYPES.values())
CACHED_SECONDS: Final = 600.0
PATIENCE: Final = 10.0
"""Seconds of real time that a whole file may take."""


class Links:
    """Fetches what links lead to, and remembers for ten minutes whether it could be sent."""

    def __init__(self, config: Config, clock: MovableClock) -> None:
        self._config = config
        self._clock = clock
        once = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(verify=trust(), trust_env=False, timeout=PATIENCE, limits=once)
        self._known: dict[tuple[str, str], tuple[float, MetaError | None]] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def flaw(self, body: dict[str, Any]) -> MetaError | None:
        """Why a message fails for what its links lead to."""
        for kind, content in files_of(body):
            link = content.get("link")
            if link and (self._config.fetch_links == "all" or _is_here(link)):
                error = await self._flaw_of(kind, link)
                if error is not None:
                    return error
        return None

    async def _flaw_of(self, kind: str, link: str) -> MetaError | None:
        until, error = self._known.get((kind, link), (0.0, None))
        if until <= self._clock.now():
            error = await self._look(kind, link)
            self._known[kind, link] = self._clock.now() + CACHED_SECONDS, error
        return error

    async def _look(self, kind: str, link: str) -> MetaError | None:
        try:
            async with asyncio.timeout(PATIENCE):
                mime_type, data = await self._fetch(link)
            if not suits(base_type(mime_type), kind):
                return MetaError(131053, f"The link leads to {mime_type}, which can't be sent as {kind}.")
            check_upload(mime_type, data)
        except MetaError as error:
            return MetaError(131053, error.details)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            return MetaError(131053, f"The link can't be fetched: {type(error).__name__}.")
        return None

    async def _fetch(self, link: str) -> tuple[str, bytes]:
        async with self._client.stream("GET", link) as answer:
            if answer.status_code != 200:
                raise MetaError(131053, f"The link can't be fetched: it answers {answer.status_code}.")
            data = bytearray()
            async for part in answer.aiter_bytes():
                data += part
                if len(data) > _LARGEST:
                    raise MetaError(131053, "What the link leads to is larger than 100 MB.")
            return answer.headers.get("content-type", ""), bytes(data)


def _is_here(link: str) -> bool:
    host = urlsplit(link).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
