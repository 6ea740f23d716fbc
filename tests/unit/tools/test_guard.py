"""What leaves the server, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.settings import Settings
from greenline.tools.guard import BLOCKED_PORTS, Allowance, OutboundRefused, guarded_client, is_public
from greenline.tools.lookups import look_up
from support.loopback import tcp_server
from support.wait import PATIENCE_SECONDS

LOOPBACK = ("127.0.0.0/8", "::1")
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Site:
    """A web server that answers as it is told and remembers the heads of requests."""

    def __init__(self, answer: bytes | Answer) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if isinstance(self.answer, bytes):
            writer.write(self.answer)
            await writer.drain()
        else:
            await self.answer(writer)


@contextlib.asynccontextmanager
async def site(answer: bytes | Answer) -> AsyncIterator[Site]:
    made = Site(answer)
    async with tcp_server(made.serve) as made.port:
        yield made


def response(body: bytes = b"ok", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def client(*allow: str, **more: Any) -> httpx2.AsyncClient:
    return guarded_client(Settings(outbound_allow=allow), **{"seconds": 5.0, **more})


async def refused(url: str, *allow: str) -> str:
    async with client(*allow) as http:
        with pytest.raises(OutboundRefused) as caught:
            await http.get(url)
    return str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - judged, not bound to
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_the_public_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_what_it_is(inner: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | int(inner))
    translated = ipaddress.IPv6Address((0x64FF9B << 96) | int(inner))
    assert is_public(mapped) == is_public(translated) == is_public(inner)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_knows_as_private(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address) or ipaddress.ip_address(address) in ipaddress.ip_network("::ffff:0:0/96")


@pytest.mark.parametrize(
    ("item", "address", "allowed"),
    [
        ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.0.0/8", "::ffff:10.9.9.9", True),
        ("10.0.0.0/8", "192.168.0.1", False),
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.8", False),
        ("fd00::/8", "fd12::1", True),
        ("some.host", "127.0.0.1", False),
    ],
)
def test_an_operator_allows_networks(item: str, address: str, *, allowed: bool) -> None:
    assert Allowance([item]).address(ipaddress.ip_address(address)) is allowed


def test_an_operator_allows_hosts_by_their_whole_name() -> None:
    allowance = Allowance(["Models.Internal"])
    assert allowance.host("models.internal")
    assert allowance.host("models.internal.")
    assert not allowance.host("evil.models.internal")
    assert not allowance.host("internal")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    async with site(response()) as inside:
        text = await refused(f"http://{host}:{inside.port}/")
    assert "GREENLINE_OUTBOUND_ALLOW" in text
    assert inside.heads == []


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/"])
async def test_only_http_leaves(url: str) -> None:
    async with client(*LOOPBACK) as http:
        with pytest.raises((OutboundRefused, httpx2.UnsupportedProtocol)):
            await http.get(url)


async def test_user_information_is_refused() -> None:
    assert "user name" in await refused("http://a:b@127.0.0.1/", *LOOPBACK)


@pytest.mark.parametrize("port", [22, 25, 6667])
async def test_ports_of_other_protocols_are_refused_wherever_they_are(port: int) -> None:
    assert port in BLOCKED_PORTS
    assert f"Port {port}" in await refused(f"http://127.0.0.1:{port}/", *LOOPBACK)


async def test_what_is_allowed_is_reached() -> None:
    async with site(response(b"hello")) as inside, client(*LOOPBACK) as http:
        answer = await http.get(f"http://127.0.0.1:{inside.port}/x?y=1")
    assert answer.text == "hello"
    assert inside.heads[0].startswith("GET /x?y=1 HTTP/1.1")
    assert f"Host: 127.0.0.1:{inside.port}" in inside.heads[0]


class Resolver:
    """Answers of a name server, one list of addresses for each question; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **options: Any) -> list[Any]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise socket.gaierror(8, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolver]:
    def make(*answers: list[str]) -> Resolver:
        made = Resolver(*answers)
        monkeypatch.setattr(socket, "getaddrinfo", made)
        return made

    return make


async def test_a_name_is_resolved_once_and_connected_where_it_was_checked(
    resolver: Callable[..., Resolver],
) -> None:
    """Rebinding: the second answer of the name server would lead elsewhere, but it is never asked for."""
    async with site(response(b"checked")) as inside, client("127.0.0.1") as http:
        names = resolver(["127.0.0.1"], ["127.0.0.2"])
        answer = await http.get(f"http://shop.example:{inside.port}/")
    assert answer.text == "checked"
    assert names.asked == ["shop.example"]
    assert f"Host: shop.example:{inside.port}" in inside.heads[0]


async def test_one_private_address_among_public_ones_is_enough(resolver: Callable[..., Resolver]) -> None:
    resolver(["93.184.215.14", "169.254.169.254"])
    assert "169.254.169.254" in await refused("http://shop.example/")


async def test_an_allowed_name_may_lead_anywhere(resolver: Callable[..., Resolver]) -> None:
    async with site(response()) as inside, client("models.internal") as http:
        resolver(["127.0.0.1"])
        assert (await http.get(f"http://models.internal:{inside.port}/")).status_code == 200


async def test_the_next_address_is_tried_when_one_does_not_answer(resolver: Callable[..., Resolver]) -> None:
    async with site(response()) as inside, client(*LOOPBACK) as http:
        resolver(["::1", "127.0.0.1"])
        assert (await http.get(f"http://shop.example:{inside.port}/")).status_code == 200


async def test_a_name_that_is_not_known(resolver: Callable[..., Resolver]) -> None:
    resolver([])
    assert "can't be resolved" in await refused("http://nowhere.example/")


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The name server of ``silent.example`` says nothing as long as the test lasts."""
    over, look_up = threading.Event(), socket.getaddrinfo

    def wait(host: str, *rest: Any, **options: Any) -> list[Any]:
        if host == "silent.example":
            over.wait()
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield
    over.set()


@pytest.mark.usefixtures("silence")
async def test_a_name_server_that_is_silent() -> None:
    async with client(seconds=0.05) as http:
        with pytest.raises(httpx2.ConnectTimeout):
            await http.get("http://silent.example/")


_ENDS_DURING_A_LOOKUP = """
import asyncio, contextlib, socket, sys, threading
from greenline.tools.lookups import look_up

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()

async def main():
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(look_up("silent.example", 443), 0.01)

asyncio.run(main())
"""


async def test_a_name_server_that_is_silent_does_not_keep_the_process_from_its_end() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _ENDS_DURING_A_LOOKUP)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_names_that_wait_for_a_thread_are_all_looked_up() -> None:
    await asyncio.gather(*(look_up("127.0.0.1", 80) for _ in range(500)))


@pytest.mark.usefixtures("silence")
async def test_a_name_server_that_is_silent_holds_up_nobody_else() -> None:
    async with client(*LOOPBACK, seconds=2 * PATIENCE_SECONDS) as http, site(response()) as inside:
        waiting = [asyncio.create_task(http.get("http://silent.example/")) for _ in range(50)]
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await http.get(f"http://localhost:{inside.port}/")).status_code == 200
            # So are the names of Meta and of the database looked up.
            assert await asyncio.get_running_loop().getaddrinfo("localhost", inside.port)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_redirect_inwards_is_refused(resolver: Callable[..., Resolver]) -> None:
    async with site(response(b"secret")) as inside:
        target = f"http://127.0.0.1:{inside.port}/"
        async with site(response(b"", "302 Found", Location=target)) as outside, client("outside.example") as http:
            names = resolver(["127.0.0.1"])
            with pytest.raises(OutboundRefused):
                await http.get(f"http://outside.example:{outside.port}/", follow_redirects=True)
            assert names.asked == ["outside.example", "127.0.0.1"]
    assert inside.heads == []


async def test_redirects_are_not_followed_unasked() -> None:
    away = response(b"", "302 Found", Location="http://127.0.0.1:9999/")
    async with site(away) as outside, client(*LOOPBACK) as http:
        assert (await http.get(f"http://127.0.0.1:{outside.port}/")).status_code == 302


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(response(b"from the proxy")) as proxy, site(response(b"direct")) as inside:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with client(*LOOPBACK) as http:
            assert (await http.get(f"http://127.0.0.1:{inside.port}/")).text == "direct"


async def test_certificates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a client that is made for one request, too: reading them keeps the event loop."""
    await guarded_client(Settings()).aclose()
    monkeypatch.delattr(httpx2, "create_ssl_context")
    await guarded_client(Settings()).aclose()


async def test_a_body_is_cut_at_its_limit() -> None:
    async with site(response(b"x" * 2000)) as inside:
        url = f"http://127.0.0.1:{inside.port}/"
        async with client(*LOOPBACK, max_bytes=1999) as http:
            with pytest.raises(httpx2.ReadError, match="larger"):
                await http.get(url)
        async with client(*LOOPBACK, max_bytes=2000) as http:
            assert len((await http.get(url)).content) == 2000


async def test_a_reader_that_stopped_early_can_drain_the_rest() -> None:
    async with (
        site(response(b"x" * 100_000)) as inside,
        client(*LOOPBACK) as http,
        http.stream("GET", f"http://127.0.0.1:{inside.port}/") as answer,
    ):
        assert isinstance(answer.stream, httpx2.AsyncByteStream)
        first = await anext(aiter(answer.stream))
        rest = [part async for part in answer.stream]
    assert len(first) + sum(map(len, rest)) == 100_000


async def test_compressed_answers_are_neither_asked_for_nor_unpacked() -> None:
    bomb = response(gzip.compress(b"\0" * 1_000_000), Content_Encoding="gzip")
    async with site(bomb) as inside, client(*LOOPBACK) as http:
        with pytest.raises(httpx2.DecodingError):
            await http.get(f"http://127.0.0.1:{inside.port}/", headers={"Accept-Encoding": "gzip"})
    assert "Accept-Encoding: identity" in inside.heads[0]
    assert "gzip" not in inside.heads[0]


async def test_an_answer_in_drops_ends_with_the_exchange() -> None:
    async def drops(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with site(drops) as inside, client(*LOOPBACK, whole_seconds=0.2) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(f"http://127.0.0.1:{inside.port}/")


async def test_a_server_that_says_nothing_ends_with_the_exchange() -> None:
    async def nothing(writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with site(nothing) as inside, client(*LOOPBACK, whole_seconds=0.1) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(f"http://127.0.0.1:{inside.port}/")


async def test_a_refused_connection_is_httpx_own_error() -> None:
    async with site(response()) as inside:
        pass
    async with client(*LOOPBACK) as http:
        with pytest.raises(httpx2.ConnectError) as caught:
            await http.get(f"http://127.0.0.1:{inside.port}/")
    assert not isinstance(caught.value, OutboundRefused)
