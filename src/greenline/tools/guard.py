"""The guard on HTTP requests that leave the server on behalf of a model, a tool, a document or an agent's settings.

Threat. Whoever writes an agent, or talks a model into calling a tool, chooses an address; the server's own network
position must not be lent to them (server-side request forgery, OWASP A10:2021).

=====================  ======================================================================================
Attack                 Answer
=====================  ======================================================================================
``file:``, ``gopher:`` only ``http`` and ``https``
``http://a@b/``        no user information in an address: readers and parsers disagree on the host
an internal address    every address of the name must be public, or named by ``GREENLINE_OUTBOUND_ALLOW``
DNS rebinding          the name is resolved once and the connection goes to exactly the address that was checked
a redirect inwards     each redirect is a new request through this guard
an internal proxy      proxies of the environment are not used
an endless answer      the body is cut at a number of bytes
=====================  ======================================================================================
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, TypeAlias

import httpcore2
import httpx2

from greenline.settings import Settings

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_BYTES: Final = 10 * 1024 * 1024
"""Largest body that is read: ten times what a model could take in."""

_NOT_PUBLIC: Final = (
    ipaddress.ip_network("100.64.0.0/10"),  # RFC 6598: carrier-grade NAT, also cloud metadata of some providers
    ipaddress.ip_network("192.0.0.0/24"),  # RFC 6890: protocol assignments
    ipaddress.ip_network("192.88.99.0/24"),  # RFC 7526: 6to4 relays
    ipaddress.ip_network("198.18.0.0/15"),  # RFC 2544: benchmarks
    ipaddress.ip_network("fec0::/10"),  # RFC 3879: site-local
)
_NAT64: Final = (
    ipaddress.IPv6Network("64:ff9b::/96"),  # RFC 6052
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215
)


class OutboundRefused(httpx2.ConnectError):
    """The guard does not let a request out. The text says which setting would."""


class Allowance:
    """What ``GREENLINE_OUTBOUND_ALLOW`` names besides the public internet."""

    def __init__(self, items: Iterable[str]) -> None:
        self._hosts = set()
        self._networks = []
        for item in items:
            try:
                self._networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                self._hosts.add(item.lower())

    def host(self, name: str) -> bool:
        """Whether a name is allowed wherever it leads."""
        return name.lower().rstrip(".") in self._hosts

    def address(self, address: Address) -> bool:
        """Whether an address may be connected to."""
        if any(address in network for network in self._networks if network.version == address.version):
            return True
        return is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, looked at through every way of embedding IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:  # RFC 4291, 2.5.5.2
        return address.ipv4_mapped
    if address.sixtofour is not None:  # RFC 3056
        return address.sixtofour
    if address.teredo is not None:  # RFC 4380
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the address that was checked, and to no other."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore2.AsyncNetworkStream:
        address = await self._resolve(host, port)
        return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise OutboundRefused("Unix sockets can't be reached from here.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> Address:
        try:
            rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise OutboundRefused(f"The name {host} can't be resolved.") from error
        addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
        if not self._allowance.host(host):
            for address in addresses:
                if not self._allowance.address(address):
                    raise OutboundRefused(
                        f"{host} leads to {address}, which is not a public address. "
                        "An operator can allow it by GREENLINE_OUTBOUND_ALLOW."
                    )
        return addresses[0]


class GuardedTransport(httpx2.AsyncBaseTransport):
    """A transport of httpx that goes through the guard."""

    def __init__(self, allowance: Allowance, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=100,
            keepalive_expiry=5.0,
            network_backend=_GuardedBackend(allowance),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; raises `OutboundRefused` for what may not leave, httpx's errors for the rest."""
        url = request.url
        if url.scheme not in ("http", "https"):
            raise OutboundRefused(f"Addresses begin with http or https, not {url.scheme}.")
        if url.userinfo:
            raise OutboundRefused("An address may not carry a user name or password.")
        if not isinstance(request.stream, httpx2.AsyncByteStream):
            raise TypeError("the guard sends asynchronous requests only")
        plain = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            response = await self._pool.handle_async_request(plain)
        except _CORE_ERRORS as error:
            raise _translated(error) from error
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Bounded(response, self._max_bytes),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error when it is larger than it may be."""

    def __init__(self, response: httpcore2.Response, max_bytes: int) -> None:
        self._response = response
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                self._left -= len(part)
                if self._left < 0:
                    raise httpx2.ReadError("The answer is larger than may be read.")
                yield part
        except _CORE_ERRORS as error:
            raise _translated(error) from error

    async def aclose(self) -> None:
        await self._response.aclose()


_CORE_ERRORS: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


def _translated(error: Exception) -> Exception:
    """httpcore's error under the same name in httpx."""
    kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
    return kind(str(error)) if issubclass(kind, Exception) else error


def guarded_client(settings: Settings, *, seconds: float = 30.0, max_bytes: int = MAX_BYTES) -> httpx2.AsyncClient:
    """A client whose every request goes through the guard. Redirects are not followed unless a call asks for it."""
    transport = GuardedTransport(Allowance(settings.outbound_allow), max_bytes=max_bytes)
    return httpx2.AsyncClient(transport=transport, timeout=seconds, trust_env=False, follow_redirects=False)
