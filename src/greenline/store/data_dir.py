"""The data directory: everything that the server keeps outside of a database of the operator's."""

from __future__ import annotations

import os
from pathlib import Path

from greenline.errors import ConfigurationError


class DataDirUnusable(ConfigurationError):
    """The data directory can't be made or written to. Name another one with --data-dir or GREENLINE_DATA_DIR."""

    code = "data_dir_unusable"


def make_data_dir(path: Path) -> Path:
    """``path``, made if it is not there, for its owner only: people's files lie in it. Raises `DataDirUnusable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DataDirUnusable(f"{DataDirUnusable().message} ({error})") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataDirUnusable(f"{DataDirUnusable().message} ({path} is read-only)")
    return path
