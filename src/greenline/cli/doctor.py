"""``greenline doctor``."""

from __future__ import annotations

import asyncio

import typer

from greenline.cli.options import DataDir, load_settings


def doctor(data_dir: DataDir = None) -> None:
    """Look for what would keep the server from its work, and tell what to do. Exits with 1 if something is broken."""
    settings = load_settings(data_dir=data_dir)

    from greenline.doctor import examine
    from greenline.logs import configure_logging

    configure_logging("error", settings.log_format)
    findings = asyncio.run(examine(settings))
    for finding in findings:
        typer.echo(finding)
    if any(finding.broken for finding in findings):
        raise typer.Exit(1)
