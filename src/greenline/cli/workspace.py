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


@app.command()
def revoke(
    workspace_id: Annotated[str, typer.Argument(help="Id of the workspace, as `greenline workspace list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Close every key of a workspace for ever, so that nobody gets in.

    Its data stays, and its agents go on answering. Running servers honour it within 3 seconds. `greenline key create
    --workspace ID` opens the workspace again.
    """
    from greenline.workspaces import service

    revoked = with_database(data_dir, lambda pool, clock: service.revoke(pool, clock, workspace_id))
    for key in revoked:
        typer.echo(f"{key.id}\t...{key.hint}\trevoked\t{key.name}")
    if not revoked:
        typer.echo(f"{workspace_id} had no valid key: nothing was changed.")
        return
    keys = "1 key is" if len(revoked) == 1 else f"{len(revoked)} keys are"
    typer.echo(f"{workspace_id} is closed: {keys} revoked.")
    typer.echo(f"`greenline key create --workspace {workspace_id}` opens it again.")


@app.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """Print every workspace: id, when it was made, name."""
    from greenline.workspaces import service

    for workspace in with_database(data_dir, lambda pool, _: service.list_all(pool)):
        typer.echo(f"{workspace.id}\t{workspace.created_at:%Y-%m-%d %H:%M}\t{workspace.name}")
