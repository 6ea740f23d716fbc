"""Files from Meta: fetched with the token from named hosts only, up to a size, and checked by their digest.

- An address in an answer or a redirect could lead the token to a stranger: hosts are named in the settings, and
  each redirect is checked again.
- A file could be larger than memory: the stream is cut at a limit.
- An error page could come in place of a file: its SHA-256 must be the one that Meta announced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from greenline.channels.whatsapp.graph_errors import GraphError, Outcome, read_error
from greenline.channels.whatsapp.graph_http import GraphHttp
from greenline.channels.whatsapp.graph_token import Token

MAX_REDIRECTS: Final = 3


def unavailable(reason: str) -> GraphError:
    """The error of a file that can't be had, with its reason."""
    return GraphError("The file is not available", outcome=Outcome.PERMANENT, details=reason)


@dataclass(frozen=True, slots=True)
class Download:
    """How files are fetched. ``hosts`` are names, or names with a port; the Graph host itself is always allowed."""

    http: GraphHttp = field(repr=False)
    graph_url: str
    hosts: frozenset[str]
    max_bytes: int
    seconds: float
    """The limit of one request, body included."""

    async def fetch(self, url: str, token: Token) -> bytes:
        """The bytes behind ``url``. Raises `GraphError`."""
        for _ in range(MAX_REDIRECTS + 1):
            self.check_host(url)
            async with self.http.stream(url, token, self.seconds) as response:
                if 300 <= response.status < 400 and "location" in response.headers:
                    url = _joined(url, response.headers["location"])
                    continue
                if response.status != 200:
                    raise read_error(response.status, await self._read(response))
                return await self._read(response)
        raise unavailable("too many redirects")

    def check_host(self, url: str) -> None:
        """Raise `GraphError` unless the token may go to ``url``."""
        target, graph = _parsed(url), URL(self.graph_url)
        if target.origin() == graph.origin():
            return
        host = (target.host or "").lower()
        known = host in self.hosts or f"{host}:{target.explicit_port}" in self.hosts
        # Plain HTTP only where the Graph API itself is spoken to without TLS: an emulator.
        if not known or target.scheme not in {"https", graph.scheme}:
            raise unavailable(f"the host {host} is not among GREENLINE_MEDIA_HOSTS")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        found = bytearray()
        async for chunk in response.content.iter_any():
            found += chunk
            if len(found) > self.max_bytes:
                raise unavailable(f"it is larger than {self.max_bytes} bytes")
        return bytes(found)


def _parsed(url: str) -> URL:
    """Raises `GraphError` for anything that is no absolute address of the web."""
    try:
        target = URL(url)
        if target.absolute and target.scheme in ("http", "https"):
            return target
    except ValueError:
        pass
    raise unavailable("its URL is no address of the web")


def _joined(url: str, location: str) -> str:
    try:
        return str(URL(url).join(URL(location)))
    except ValueError as error:
        raise unavailable("it is redirected to no address") from error


def check_digest(data: bytes, *expected: object) -> None:
    """Raise `GraphError` unless SHA-256 of ``data`` is each readable one of ``expected`` (hex or base64)."""
    actual = hashlib.sha256(data).digest()
    for text in expected:
        digest = read_digest(text)
        if digest is not None and not hmac.compare_digest(digest, actual):
            raise unavailable("its digest is not the one that Meta announced")


def read_digest(text: object) -> bytes | None:
    """The 32 bytes of a SHA-256 in hex (Meta: media) or base64 (Meta: webhooks); None if it is neither."""
    if not isinstance(text, str):
        return None
    try:
        digest = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest if len(digest) == 32 else None
