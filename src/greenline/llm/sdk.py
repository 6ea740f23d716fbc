"""One OpenAI-compatible endpoint through the ``openai`` SDK: its client, and its errors as ours.

The SDK takes about a second to import. It is imported in a thread: by the first call, or beside the start of a server
that has a key.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import httpx2

from greenline.llm.errors import Kind, ModelError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

NO_KEY: Final = "none"
"""Local servers take no key, but the SDK wants one."""
KEEP_ALIVE_SECONDS: Final = 55.0
"""Between two turns, so that none begins with the handshake of a connection. Just below the 60 s after which load
balancers close it; one that was closed sooner is not used again.
"""
MAX_TEXT: Final = 500
_KEY_LIKE: Final = re.compile(r"\b(?:sk|gsk|xai|AIza)[-_]?[A-Za-z0-9*_-]{8,}")
_MODULES: Final = ("openai.resources.chat", "openai.resources.responses", "greenline.llm.streams")
"""A client would import the first two in the event loop, when first asked: half a second."""
_STATUS: Final[Mapping[int, Kind]] = {401: "auth", 403: "auth", 408: "timeout", 429: "rate_limit"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is and what it wants to see. ``url`` None is OpenAI's own, or ``OPENAI_BASE_URL``."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not value.isascii() or not name.isascii() or "\n" in value or "\r" in value:
                raise ModelError("configuration", f"the header {name!r} has characters that HTTP does not carry")
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ModelError("configuration", "the API key has characters that HTTP does not carry")


async def load_sdk() -> None:
    """Import the SDK with all that a call needs, if nobody has yet."""
    await asyncio.to_thread(_load, _MODULES)


def _load(modules: Iterable[str]) -> None:
    for module in modules:
        importlib.import_module(module)


class SdkClient:
    """The SDK's client for one address, made when first needed."""

    def __init__(self, address: Address, *, http: httpx2.AsyncClient | None = None, seconds: float = 60.0) -> None:
        """``http`` carries the requests instead of a client of the SDK's own, and stays open at `aclose`."""
        self.address = address
        self._http = http
        self._seconds = seconds
        self._client: AsyncOpenAI | None = None

    async def open(self) -> AsyncOpenAI:
        """The client. It does not retry: the cascade decides about that."""
        if self._client is None:
            await load_sdk()
            self._client = self._make()
        return self._client

    def _make(self) -> AsyncOpenAI:
        from openai import DEFAULT_CONNECTION_LIMITS, AsyncOpenAI, DefaultAsyncHttpxClient, Omit

        limits = replace(DEFAULT_CONNECTION_LIMITS, keepalive_expiry=KEEP_ALIVE_SECONDS)
        return AsyncOpenAI(
            api_key=self.address.api_key or NO_KEY,
            base_url=self.address.url,
            default_headers=self._headers(Omit()),
            default_query=dict(self.address.query),
            max_retries=0,
            timeout=self._seconds,
            http_client=self._http or DefaultAsyncHttpxClient(limits=limits),
        )

    def call_headers(self) -> dict[str, Any]:
        """Headers of each call: no authorization for an endpoint that was given none."""
        from openai import Omit

        given = any(name.lower() == "authorization" for name in self.address.headers)
        return {} if self.address.api_key or given else {"Authorization": Omit()}

    async def events(
        self, path: str, body: Mapping[str, Any], query: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """The JSON of the server-sent events with which ``path`` answers, where the SDK has no method for it."""
        client = await self.open()
        from openai import AsyncStream

        headers, params = self.call_headers(), dict(query or {})
        async with await client.post(
            path,
            cast_to=object,
            body=body,
            options={"headers": headers, "params": params},
            stream=True,
            stream_cls=AsyncStream[object],
        ) as events:
            async for event in events:
                if not isinstance(event, Mapping):
                    raise ModelError("bad_request", "an event of the answer is no JSON object")
                yield event

    async def aclose(self) -> None:
        """Close the connections that are its own."""
        if self._client is not None and self._http is None:
            await self._client.close()
        self._client = None

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise whatever the endpoint or the SDK raises inside as `ModelError`."""
        try:
            yield
        except (ModelError, GeneratorExit):
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise self._error("connection", _chain(error)) from error
        except (AttributeError, TypeError, ValueError, LookupError, RecursionError) as error:
            raise self._error("bad_request", f"the answer is no answer of this API: {error!r}") from error
        except Exception as error:  # the boundary of the SDK: its classes can't be named before it is imported
            translated = self._translated(error)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: Exception) -> ModelError | None:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return self._error("timeout", _chain(error))
        if isinstance(error, openai.APIConnectionError):
            return self._error("connection", _chain(error))
        if isinstance(error, openai.APIStatusError):
            return self._error(status_kind(error.status_code), f"HTTP {error.status_code}: {_told(error.body)}")
        if isinstance(error, openai.APIError):  # an error in the middle of a stream
            return self._error("overloaded", _told(error.body) if error.body else str(error))
        return self._error("connection", repr(error)) if isinstance(error, openai.OpenAIError) else None

    def _error(self, kind: Kind, text: str) -> ModelError:
        for secret in (self.address.api_key, *self.address.headers.values(), *self.address.query.values()):
            if secret and len(secret) > 3:
                text = text.replace(secret, "***")
        return ModelError(kind, _KEY_LIKE.sub("***", text)[:MAX_TEXT])

    def _headers(self, omit: Any) -> dict[str, Any]:
        """Our headers; without those that the SDK adds from the environment when the endpoint is not OpenAI's."""
        headers: dict[str, Any] = {}
        if self.address.url is not None:
            lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
            names = {line.partition(":")[0].strip() for line in lines}
            headers = dict.fromkeys({"OpenAI-Organization", "OpenAI-Project", *names} - {""}, omit)
        return {**headers, **self.address.headers}


def status_kind(status: int) -> Kind:
    """The kind of an HTTP status that is no success."""
    return _STATUS.get(status) or ("overloaded" if status >= 500 else "bad_request")


def _chain(error: BaseException) -> str:
    told = [str(error) or type(error).__name__]
    while error.__cause__ is not None:
        error = error.__cause__
        told.append(str(error) or type(error).__name__)
    return ": ".join(dict.fromkeys(told))


def _told(body: object) -> str:
    if isinstance(body, list) and body:  # Gemini wraps its errors in a list
        body = body[0]
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, Mapping) else inner
    return str(body)
