"""``greenline serve``."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from greenline.cli.options import DataDir, Host, Port, load_settings

if TYPE_CHECKING:
    from greenline.settings import Settings


def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the server. It prints `ready http://HOST:PORT` when it answers, and leaves in order at SIGTERM."""
    settings = load_settings(host=host, port=port, data_dir=data_dir)

    from greenline.logs import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    gc.disable()  # it takes a fifth of the imports' time, and what they make stays; `run` turns it on again
    with _database_ahead(settings):
        from greenline.serving import run

        run(settings)


@contextlib.contextmanager
def _database_ahead(settings: Settings) -> Iterator[None]:
    """Start the embedded database while the modules of the server are read: each takes about a second."""
    if settings.database_url is not None:
        yield
        return

    from greenline.errors import GreenlineError
    from greenline.store.embedded import EmbeddedPostgres

    database = EmbeddedPostgres(settings.data_dir)

    def start() -> None:
        with contextlib.suppress(GreenlineError):  # the server starts it as well, and tells what is wrong
            database.start()

    starter = threading.Thread(target=start)
    starter.start()
    try:
        yield
    finally:
        starter.join()
        database.stop()
