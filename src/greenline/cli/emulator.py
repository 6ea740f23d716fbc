"""``greenline emulator``."""

from __future__ import annotations

from typing import Annotated

import typer


def emulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port to listen on; 0 takes a free one.")] = 8090,
) -> None:
    """Run the emulator of Meta's WhatsApp Cloud API. It prints `ready http://HOST:PORT` when it answers."""
    from greenline.emulator.main import serve

    serve(host, port)
