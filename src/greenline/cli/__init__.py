"""The command ``greenline``. A command is a module here that calls one function of the server; it is imported only
when it runs, so that the help is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from greenline.cli import database, demo, doctor, emulator, key, serve, settings, workspace

app = typer.Typer(
    name="greenline",
    help="AI agents on WhatsApp that you host yourself, and an emulator of Meta's Cloud API to try them with.",
    epilog="Settings come from the environment (GREENLINE_*): `greenline settings` explains each.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("emulator")(emulator.emulator)
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)
app.command("database", context_settings={"ignore_unknown_options": True})(database.database)
app.add_typer(workspace.app, name="workspace")
app.add_typer(key.app, name="key")


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"greenline {version('greenline')}")
        raise typer.Exit


@app.callback()
def greenline(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The options of the command itself."""


def main() -> None:
    """Run the command line; an error that the operator can mend is one line and the exit status 1."""
    from greenline.errors import GreenlineError

    try:
        app()
    except GreenlineError as error:
        sys.stderr.write(f"greenline: {error.message}\n")
        sys.exit(1)
