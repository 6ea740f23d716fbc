"""``greenline database``."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Annotated

import typer

from greenline.cli.options import DataDir, load_settings
from greenline.errors import ConfigurationError


def database(
    command: Annotated[list[str], typer.Argument(help="A program of Postgres and its arguments, e.g. pg_dump.")],
    data_dir: DataDir = None,
) -> None:
    """Run psql, pg_dump or pg_restore on the embedded database, which is started for it if nobody runs it."""
    settings = load_settings(data_dir=data_dir)
    if settings.database_url is not None:
        raise ConfigurationError("GREENLINE_DATABASE_URL names a server of yours: use its own programs.")

    from greenline.logs import configure_logging
    from greenline.store.embedded import EmbeddedPostgres

    configure_logging("warning", settings.log_format)
    embedded = EmbeddedPostgres(settings.data_dir)
    try:
        embedded.start()
        environment = os.environ | embedded.client_environment()
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise ConfigurationError(f"There is no program {command[0]}.")
        done = subprocess.run([program, *command[1:]], env=environment, check=False)  # noqa: S603 - the operator's own
    finally:
        embedded.stop()
    raise typer.Exit(done.returncode)
