"""``greenline workspace``."""

from __future__ import annotations

from typing import Annotated

import typer

from greenline.cli.options import DataDir, with_database

app = typer.Typer(help="Workspaces separate tenants: every agent, number and conversation belongs to one.")


@app.command()
def create(name: Annotated[str, typer.Argument(help="What people call it.")], data_dir: DataDir = None) -> None:
    """Make a workspace and print its id. `greenline key create --workspace ID` opens it."""
    from greenline.workspaces import service

    workspace = with_database(data_dir, lambda pool, clock: service.create(pool, clock, name))
    typer.echo(workspace.id)


@app.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """Print every workspace: id, when it was made, name."""
    from greenline.workspaces import service

    for workspace in with_database(data_dir, lambda pool, _: service.list_all(pool)):
        typer.echo(f"{workspace.id}\t{workspace.created_at:%Y-%m-%d %H:%M}\t{workspace.name}")
