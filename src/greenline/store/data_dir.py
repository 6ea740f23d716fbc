"""The data directory: everything that the server keeps outside of a database of the operator's."""

from __future__ import annotations

from pathlib import Path


def make_data_dir(path: Path) -> Path:
    """``path``, made if it is not there, for its owner only: what people sent lies in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path
