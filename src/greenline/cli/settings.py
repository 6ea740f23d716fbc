"""``greenline settings``."""

from __future__ import annotations

import typer


def settings() -> None:
    """Print every setting: its variable, its default, what it does."""
    from greenline.settings_table import settings_table

    typer.echo(settings_table())
