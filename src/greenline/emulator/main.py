"""Run the emulator as a process: ``python -m greenline.emulator.main --port 8090``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from greenline.emulator.app import create_app


class _Protocol(HttpToolsProtocol):
    """HTTP that lets a fault cut the connection: the application finds the transport in the scope."""

    def on_headers_complete(self) -> None:
        self.scope["greenline.transport"] = self.transport  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()


class _Server(uvicorn.Server):
    """uvicorn that says when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        sys.stdout.write(f"ready http://{f'[{host}]' if ':' in host else host}:{port}\n")
        sys.stdout.flush()


def serve(host: str = "127.0.0.1", port: int = 8090) -> None:
    """Serve until SIGTERM or SIGINT. Prints ``ready http://HOST:PORT`` when it listens; port 0 takes a free one.

    Raises ``SystemExit`` with what to do when it can't listen there.
    """
    listener = _bind(host, port)
    config = uvicorn.Config(
        create_app(),
        http=_Protocol,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(config).serve([listener]))


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the port as it was given: among addresses one above 65,535 has become another.
        return socket.create_server((address[0], port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise SystemExit(
            f"greenline: The emulator can't listen on {host}:{port}: {reason}. Choose another --host or --port."
        ) from error


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
