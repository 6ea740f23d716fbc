"""Which Postgres runs on a folder: what its pid file says, and whether that is still true."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A running server, as its pid file tells."""

    pid: int
    socket_folder: Path


def read_postmaster(data: Path) -> Postmaster | None:
    """The server that runs on the database folder ``data``, also while it starts; None if there is none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        found = Postmaster(int(lines[0]), Path(lines[4]))
    except (OSError, ValueError, IndexError):
        return None
    return found if runs_on(found.pid, data) else None


def read_pid(file: Path) -> int | None:
    """The number on the first line of a pid file."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def process_exists(pid: int) -> bool:
    """Whether any process has the number, also a dead one that nobody has asked for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def runs_on(pid: int, data: Path) -> bool:
    """Whether the process is one of a server on ``data``: its processes all work in that folder."""
    if not Path("/proc/self/cwd").exists():  # not Linux: the number has to do
        return process_exists(pid)
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data
    except OSError:
        return False


def anyone_runs_on(data: Path) -> bool:
    """Whether any process of a server on ``data`` is left, a child of a dead one included."""
    return any(runs_on(int(place.name), data) for place in Path("/proc").glob("[0-9]*"))
