"""``greenline demo``."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from greenline.cli.options import Host, Port, load_settings


def demo(
    host: Host = None,
    port: Port = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the demo's own data.", show_default="demo in GREENLINE_DATA_DIR")
    ] = None,
    emulator_port: Annotated[int, typer.Option(help="Port of the emulator; 0 takes a free one.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything of earlier demos first.")] = False,
) -> None:
    """Run a shop's agent on an emulated WhatsApp, offline, and print the address of the phone page."""
    settings = load_settings(host=host, port=port, data_dir=data_dir)

    gc.disable()  # as `greenline serve` does

    from greenline.demo.run import default_data_dir, run
    from greenline.logs import configure_logging

    if data_dir is None:
        settings = settings.model_copy(update={"data_dir": default_data_dir(settings)})
    configure_logging("warning", "console")
    run(settings, emulator_port=emulator_port, fresh=fresh)
