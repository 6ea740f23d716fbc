"""Requests to a provider of speech over HTTP; whatever goes wrong comes out as a `SpeechError` in words."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import orjson

from greenline.llm.sdk import KEEP_ALIVE_SECONDS
from greenline.speech.errors import SpeechError

MAX_TEXT: Final = 300
RECORDING_SECONDS: Final = 60.0
"""Wait for the transcript of a recording: nobody is on the line, and minutes of speech take a provider seconds."""
REQUEST_FAULTS: Final = frozenset({400, 404, 413, 415, 422})
_MEANINGS: Final[Mapping[int, str]] = {
    401: "the key was refused",
    402: "the account has no credit",
    403: "the key may not do that",
    404: "there is no such model or voice",
    429: "too many requests",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is. ``url`` has no slash at the end; ``headers`` hold the key."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def masked(self, body: bytes) -> bytes:
        """What the provider says, without the key: some repeat it."""
        for value in self.headers.values():
            key = value.rpartition(" ")[2].encode()
            body = body.replace(key, b"***") if len(key) > 3 else body
        return body

    def message_of(self, body: bytes) -> str:
        """The message in ``body``, without the key."""
        return message_of(self.masked(body))


def failure(status: int, message: str) -> str:
    """An HTTP status and what the provider says about it, for an operator."""
    meaning = _MEANINGS.get(status, "the provider is out of order" if status >= 500 else "the request was refused")
    return f"{meaning} (HTTP {status}) {message}".strip()


def is_text(headers: Mapping[str, str]) -> bool:
    """Whether an answer calls itself something to read, and so no sound."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind == "application/json"


class HttpService:
    """Requests of one adapter. ``error`` is the class that it raises."""

    def __init__(self, name: str, address: Address, error: type[SpeechError], *, seconds: float) -> None:
        """``seconds`` is the longest wait for a connection or for the next bytes."""
        self._name = name
        self._address = address
        self._error = error
        self._seconds = seconds
        self._client: httpx2.AsyncClient | None = None

    async def post(self, path: str, **request: Any) -> Any:
        """The JSON that a request brings."""
        async with self._request(path, request) as response:
            body = await response.aread()
        try:
            return orjson.loads(body)
        except ValueError as error:
            raise self._error(self._name, f"the answer is no JSON: {self._address.message_of(body)}") from error

    async def stream(self, path: str, **request: Any) -> AsyncGenerator[bytes, None]:
        """The bytes of an answer as they come."""
        async with self._request(path, request) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def sound(self, path: str, **request: Any) -> AsyncGenerator[bytes, None]:
        """The same of an answer that has to be sound: a page of a gateway, say, would be heard as noise."""
        async with self._request(path, request) as response:
            if is_text(response.headers):
                told = self._address.message_of(await response.aread())
                raise self._error(self._name, f"text in place of sound: {told}")
            async for piece in response.aiter_bytes():
                yield piece

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @contextlib.asynccontextmanager
    async def _request(self, path: str, request: dict[str, Any]) -> AsyncGenerator[httpx2.Response, None]:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                headers=dict(self._address.headers),
                timeout=self._seconds,
                limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
            )
        try:
            async with self._client.stream("POST", self._address.url + path, **request) as response:
                if response.status_code != 200:
                    status, told = response.status_code, self._address.message_of(await response.aread())
                    raise self._error(self._name, failure(status, told), of_request=status in REQUEST_FAULTS)
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise self._error(self._name, f"not reached: {str(error) or type(error).__name__}") from error


def message_of(body: bytes) -> str:
    """The message in a provider's error: ``detail.message``, ``err_msg``, ``error.message``... or the text itself."""
    try:
        told: Any = orjson.loads(body)
    except ValueError:
        return body[:MAX_TEXT].decode(errors="replace")
    for key in ("detail", "error"):
        told = told.get(key, told) if isinstance(told, dict) else told
    if isinstance(told, dict):
        told = next((told[key] for key in ("message", "err_msg", "details", "reason") if told.get(key)), told)
    return str(told)[:MAX_TEXT]
