"""HTTP to Meta: connections that are kept, limits of time, and what a failure says of a request's outcome.

aiohttp, since two requests belong to every answered message: it takes a third of httpx's time for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson
from yarl import URL

from greenline.channels.whatsapp.graph_errors import GraphError, read_error, unanswered, unreachable
from greenline.channels.whatsapp.graph_token import NumberToken, Token, TokenDied, text_of

CONNECT_SECONDS: Final = 5.0
KEEP_ALIVE_SECONDS: Final = 4.0
"""Below the 5 s after which common servers close: a request that meets the closing has an unknown outcome."""
CONNECTIONS: Final = 500

Body = bytes | aiohttp.FormData


class GraphHttp:
    """One pool of connections. Raises `GraphError` and nothing else for what happens on the wire.

    ``token_died`` is told of each token of a number that Meta calls expired.
    """

    def __init__(self, seconds: float, token_died: TokenDied | None = None) -> None:
        self._seconds = seconds
        self._token_died = token_died
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the kept connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        token: Token | None,
        params: Mapping[str, str] | None = None,
        body: Body | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """The JSON object that Meta answers, within ``seconds`` or the client's own limit.

        ``body`` is JSON or a form.
        """
        address = URL(url, encoded=True)
        if params:
            address = address.with_query(dict(params))
        async with self._request(method, address, token, body, seconds or self._seconds) as response:
            data = await response.read()
            if response.status != 200:
                raise read_error(response.status, data, response.headers.get("retry-after"))
            try:
                answer = orjson.loads(data)
            except orjson.JSONDecodeError as error:
                raise unanswered(error) from error
            if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
                raise read_error(200, data)
        return answer if isinstance(answer, dict) else {}

    @asynccontextmanager
    async def stream(self, url: str, token: Token, seconds: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """A GET whose body is read by the caller. Redirects are the caller's as well, and errors."""
        async with self._request("GET", URL(url), token, None, seconds) as response:
            yield response

    @asynccontextmanager
    async def _request(
        self, method: str, url: URL, token: Token | None, body: Body | None, seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=seconds, connect=min(CONNECT_SECONDS, seconds))
        headers = {} if token is None else {"Authorization": f"Bearer {text_of(token)}"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        try:
            async with self._open().request(
                method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise unreachable(error) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise unanswered(error) from error
        except GraphError as error:
            if error.token_expired and isinstance(token, NumberToken) and self._token_died is not None:
                await self._token_died(token)
            raise

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No proxies from the environment and no cookies: tokens and identities stay between us and Meta.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "greenline"},
                trust_env=False,
            )
        return self._session
