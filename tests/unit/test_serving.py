"""The socket on which a server listens."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from greenline import serving


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux knows peers that take nothing")
async def test_a_peer_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GONE_SECONDS", 1)
    lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    class Farewell(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(bytes(20_000_000))
            transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(exc)

    listener = serving.bind("127.0.0.1", 0)
    listener.listen()
    server = await asyncio.get_running_loop().create_server(Farewell, sock=listener)
    with contextlib.closing(socket.socket()) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.settimeout(0)
        await asyncio.get_running_loop().sock_connect(peer, listener.getsockname())
        assert isinstance(await lost, TimeoutError)
    server.close()
    await server.wait_closed()
