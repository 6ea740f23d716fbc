"""The guard on HTTP requests that leave the server on behalf of a model, a tool, a document or an agent's settings.

Threat. Whoever writes an agent, or talks a model into calling a tool, chooses an address; the server's own network
position must not be lent to them (server-side request forgery, OWASP A10:2021). Nor may the other side hold or
flood the server.

=======================  ====================================================================================
Attack                   Answer
=======================  ====================================================================================
``file:``, ``gopher:``   only ``http`` and ``https``
``http://a@b/``          no user information in an address: readers and parsers disagree on the host
``http://mail:25/``      no port of another protocol that an HTTP request could be smuggled into
an internal address      every address of the name must be public, or named by ``GREENLINE_OUTBOUND_ALLOW``
``http://0x7f.1/``       what the resolver makes of the name is judged, not how the name is written
``[::ffff:10.0.0.1]``    an IPv4 address inside an IPv6 address is judged as the IPv4 address
DNS rebinding            the name is resolved once and the connection goes to exactly an address that was checked
a redirect inwards       each redirect is a new request through this guard
a proxy inside           proxies of the environment are not used
an endless answer        the body is cut at a number of bytes
a compression bomb       compressed answers are not asked for, and not unpacked
an answer in drops       the whole exchange has a limit of time, besides the one of each read
a silent name server     names are looked up in threads of their own, so that nobody else waits for one
=======================  ====================================================================================

What it does not do: it does not authenticate the other side (TLS does), and it does not judge what is sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from functools import cache
from typing import Any, Final, TypeAlias

import httpcore2
import httpx2

from greenline.settings import Settings
from greenline.tools.lookups import look_up

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_BYTES: Final = 10 * 1024 * 1024
"""Largest body that is read: ten times what a model could take in."""
WHOLE_SECONDS: Final = 300.0
"""Longest exchange: five times the longest generation that is waited for by default."""

MAX_CONNECTIONS: Final = 100
"""Connections of a client at a time: httpx's own default."""

_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # RFC 1122, 3.2.1.3: this host on this network
        "10.0.0.0/8",  # RFC 1918: private
        "100.64.0.0/10",  # RFC 6598: carrier-grade NAT; some clouds keep their metadata service there
        "127.0.0.0/8",  # RFC 1122, 3.2.1.3: loopback
        "169.254.0.0/16",  # RFC 3927: link-local; the metadata services of most clouds
        "172.16.0.0/12",  # RFC 1918: private
        "192.0.0.0/24",  # RFC 6890: protocol assignments
        "192.0.2.0/24",  # RFC 5737: documentation
        "192.88.99.0/24",  # RFC 7526: 6to4 relays
        "192.168.0.0/16",  # RFC 1918: private
        "198.18.0.0/15",  # RFC 2544: benchmarks
        "198.51.100.0/24",  # RFC 5737: documentation
        "203.0.113.0/24",  # RFC 5737: documentation
        "224.0.0.0/4",  # RFC 5771: multicast
        "240.0.0.0/4",  # RFC 1112, 4: reserved; holds RFC 919's broadcast address
        "::/96",  # RFC 4291, 2.5.2, 2.5.3, 2.5.5.1: unspecified, loopback, IPv4-compatible
        "64:ff9b:1::/48",  # RFC 8215: NAT64 of the own network, whatever it embeds
        "100::/64",  # RFC 6666: discard
        "2001::/23",  # RFC 2928: protocol assignments; holds RFC 4380's Teredo tunnels
        "2001:db8::/32",  # RFC 3849: documentation
        "2002::/16",  # RFC 3056: 6to4 tunnels
        "3fff::/20",  # RFC 9637: documentation
        "5f00::/16",  # RFC 9602: segment routing
        "fc00::/7",  # RFC 4193: unique local; holds the IPv6 metadata services of clouds
        "fe80::/10",  # RFC 4291, 2.5.6: link-local
        "fec0::/10",  # RFC 3879: site-local
        "ff00::/8",  # RFC 4291, 2.7: multicast
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1: how an IPv6-only host reaches public IPv4

# fmt: off
BLOCKED_PORTS: Final = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
})
# fmt: on
"""WHATWG Fetch, "Port blocking": where something else than HTTP listens that would understand a part of a request."""


class OutboundRefused(httpx2.ConnectError):
    """The guard does not let a request out. The text says why, and which setting would."""


class AnswerTooLarge(httpx2.ReadError):
    """The body of an answer is larger than may be read."""


class Allowance:
    """What ``GREENLINE_OUTBOUND_ALLOW`` names besides the public internet."""

    def __init__(self, items: Iterable[str]) -> None:
        self._hosts = set()
        self._networks = []
        for item in items:
            try:
                self._networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                self._hosts.add(item.lower().rstrip("."))

    def host(self, name: str) -> bool:
        """Whether a name is allowed wherever it leads."""
        return name.lower().rstrip(".") in self._hosts

    def address(self, address: Address) -> bool:
        """Whether an address may be connected to."""
        inner = _embedded(address) or address
        if any(inner in network for network in self._networks if network.version == inner.version):
            return True
        return is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also the IPv4 address inside an IPv6 address."""
    address = _embedded(address) or address
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped  # RFC 4291, 2.5.5.2


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to an address that was checked, and to no other."""

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
        failure: Exception | None = None
        for address in await self._resolve(host, port, timeout):
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure or OutboundRefused(f"The name {host} has no address.")

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise OutboundRefused("Unix sockets can't be reached from here.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int, seconds: float | None) -> list[Address]:
        """The addresses of a name, in the system's order, when all of them may be connected to."""
        try:
            async with asyncio.timeout(seconds):
                rows = await look_up(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"The name {host} was not resolved in time.") from error
        except (socket.gaierror, UnicodeError) as error:
            raise OutboundRefused(f"The name {host} can't be resolved.") from error
        names = dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows)
        addresses = [ipaddress.ip_address(name) for name in names]
        if not self._allowance.host(host):
            for address in addresses:
                if not self._allowance.address(address):
                    raise OutboundRefused(
                        f"{host} leads to {address}, which is not a public address. "
                        "An operator can allow it by GREENLINE_OUTBOUND_ALLOW."
                    )
        return addresses


@cache
def _trust() -> ssl.SSLContext:
    """Whom to trust, read once: that takes 20 ms, in which the event loop stands still."""
    return httpx2.create_ssl_context()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """A transport of httpx that goes through the guard."""

    def __init__(
        self,
        allowance: Allowance,
        *,
        max_bytes: int = MAX_BYTES,
        whole_seconds: float = WHOLE_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """``max_bytes`` limits the body of an answer, ``whole_seconds`` the exchange from beginning to end.

        A request above ``max_connections`` waits for a connection, and fails with httpx's ``PoolTimeout``.
        """
        self._max_bytes = max_bytes
        self._whole_seconds = whole_seconds
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_trust(),
            max_connections=max_connections,
            keepalive_expiry=5.0,
            network_backend=_GuardedBackend(allowance),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; raises `OutboundRefused` for what may not leave, httpx's errors for the rest."""
        check_address(request.url)
        deadline = asyncio.get_running_loop().time() + self._whole_seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._pool.handle_async_request(_plain(request))
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"No answer came in {self._whole_seconds:.0f} s.") from error
        except _CORE_ERRORS as error:
            raise _translated(error) from error
        body = _Bounded(response, self._max_bytes, deadline)
        answer = httpx2.Response(
            status_code=response.status, headers=response.headers, stream=body, extensions=response.extensions
        )
        if answer.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            await body.aclose()
            raise httpx2.DecodingError("The answer is compressed, which was not asked for.")
        return answer

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


def check_address(url: httpx2.URL) -> None:
    """Raises `OutboundRefused` for an address that is refused wherever it leads."""
    if url.scheme not in ("http", "https"):
        raise OutboundRefused(f"Addresses begin with http or https, not {url.scheme or 'nothing'}.")
    if url.userinfo:
        raise OutboundRefused("An address may not carry a user name or password.")
    if url.port in BLOCKED_PORTS:
        raise OutboundRefused(f"Port {url.port} belongs to another protocol than HTTP.")


def _plain(request: httpx2.Request) -> httpcore2.Request:
    if not isinstance(request.stream, httpx2.AsyncByteStream):
        raise TypeError("the guard sends asynchronous requests only")
    url = request.url
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"accept-encoding"]
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=[*headers, (b"Accept-Encoding", b"identity")],
        content=request.stream,
        extensions=request.extensions,
    )


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error when it is larger, or takes longer, than it may."""

    def __init__(self, response: httpcore2.Response, max_bytes: int, deadline: float) -> None:
        self._response = response
        self._left = max_bytes
        self._deadline = deadline
        self._parts = response.aiter_stream()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """What is left of the body: a reader that stopped early may come back and drain it."""
        while (part := await self._next()) is not None:
            self._left -= len(part)
            if self._left < 0:
                raise AnswerTooLarge("The answer is larger than may be read.")
            yield part

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await anext(self._parts, None)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("The answer takes longer than may be waited for.") from error
        except _CORE_ERRORS as error:
            raise _translated(error) from error

    async def aclose(self) -> None:
        await self._parts.aclose()
        await self._response.aclose()


_CORE_ERRORS: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


def _translated(error: Exception) -> Exception:
    """httpcore's error under the same name in httpx."""
    kind: type[Exception] = getattr(httpx2, type(error).__name__, httpx2.TransportError)
    return kind(str(error))


def guarded_client(
    settings: Settings,
    *,
    seconds: float = 30.0,
    max_bytes: int = MAX_BYTES,
    whole_seconds: float = WHOLE_SECONDS,
) -> httpx2.AsyncClient:
    """A client whose every request goes through the guard. Redirects are not followed unless a call asks for it.

    ``seconds`` limits each wait: for the connection, and between two pieces of the answer.
    """
    transport = GuardedTransport(Allowance(settings.outbound_allow), max_bytes=max_bytes, whole_seconds=whole_seconds)
    return httpx2.AsyncClient(transport=transport, timeout=seconds, trust_env=False, follow_redirects=False)
