"""``greenline key``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from greenline.cli.options import DataDir, with_database

if TYPE_CHECKING:
    from greenline.clock import Clock
    from greenline.store.pool import Pool
    from greenline.workspaces.models import ApiKey, NewApiKey

app = typer.Typer(help="API keys open a workspace. They are stored hashed and shown once.")

WorkspaceId = Annotated[str, typer.Option("--workspace", help="Id of the workspace.")]
DEFAULT = "workspace_default"


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "API key",
    workspace: WorkspaceId = DEFAULT,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once."""
    from greenline.workspaces import service

    async def make(pool: Pool, clock: Clock) -> NewApiKey:
        found = await service.get(pool, workspace)
        return await service.create_key(pool, clock, found.id, name)

    made = with_database(data_dir, make)
    typer.echo(f"{made.id} opens {workspace}. Keep the key, it is not shown again:", err=True)
    typer.echo(made.secret)


@app.command("list")
def list_all(workspace: WorkspaceId = DEFAULT, data_dir: DataDir = None) -> None:
    """Print the keys of a workspace: id, last characters, when made, when revoked, name."""
    from greenline.workspaces import service

    async def read(pool: Pool, _: Clock) -> list[ApiKey]:
        found = await service.get(pool, workspace)
        return await service.list_keys(pool, found.id)

    for key in with_database(data_dir, read):
        revoked = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
        typer.echo(f"{key.id}\t...{key.hint}\t{key.created_at:%Y-%m-%d %H:%M}\t{revoked}\t{key.name}")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `greenline key list` shows it.")],
    workspace: WorkspaceId = DEFAULT,
    data_dir: DataDir = None,
) -> None:
    """Close a key for ever. Running servers honour it within 3 seconds."""
    from greenline.workspaces import service

    revoked = with_database(data_dir, lambda pool, clock: service.revoke_key(pool, clock, workspace, key_id))
    typer.echo(f"{revoked.id} is revoked.")
