"""Options that several commands have, and the settings they change."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from greenline.settings import Settings

if TYPE_CHECKING:
    from greenline.clock import Clock
    from greenline.store.pool import Pool

T = TypeVar("T")


def setting_option(name: str) -> Any:
    """An option that changes a setting, with its explanation and default."""
    field = Settings.model_fields[name]
    return typer.Option(help=field.description, show_default=str(field.default))


Host = Annotated[str | None, setting_option("host")]
Port = Annotated[int | None, setting_option("port")]
DataDir = Annotated[Path | None, setting_option("data_dir")]


def load_settings(**options: Any) -> Settings:
    """The settings of the environment, changed by the options that were given. Exits with 2 on a wrong value."""
    from pydantic import ValidationError

    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        for item in error.errors():
            name, *inside = (str(place) for place in item["loc"])
            place = f" ({'.'.join(inside)})" if inside else ""
            told = item["msg"].removeprefix("Value error, ")
            sys.stderr.write(f"greenline: GREENLINE_{name.upper()}{place}: {told}\n")
        raise typer.Exit(2) from None


def with_database(data_dir: Path | None, work: Callable[[Pool, Clock], Awaitable[T]]) -> T:
    """Run ``work`` on the database of the settings, which is started for it if nobody runs it."""
    from greenline.clock import SystemClock
    from greenline.logs import configure_logging
    from greenline.store.database import open_database
    from greenline.store.migrate import migrate
    from greenline.store.pool import open_pool

    chosen = load_settings(data_dir=data_dir)
    configure_logging("warning", chosen.log_format)

    async def run() -> T:
        async with open_database(chosen) as dsn:
            await migrate(dsn)
            async with await open_pool(dsn, size=2) as pool:
                return await work(pool, SystemClock())

    return asyncio.run(run())
