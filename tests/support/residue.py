"""What a process holds, to be compared before and after much work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Any


def work_of(task: asyncio.Task[Any]) -> str:
    """The name of the coroutine that a task runs."""
    return str(getattr(task.get_coro(), "__qualname__", ""))


def threads() -> list[str]:
    """Names of the threads, in order, but for those of the event loop's executor.

    It starts threads up to a limit as work overlaps, and keeps them.
    """
    return sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_"))


def open_files() -> int:
    """Files and sockets of this process."""
    return len(os.listdir("/proc/self/fd"))


def udp_sockets() -> int:
    """Sockets of this process that media go over."""
    known = set()
    for table in ("udp", "udp6"):
        known |= {line.split()[9] for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]}
    return sum(_inode(number) in known for number in os.listdir("/proc/self/fd"))


def _inode(number: str) -> str:
    with contextlib.suppress(FileNotFoundError):
        return os.readlink(f"/proc/self/fd/{number}").removeprefix("socket:[").removesuffix("]")
    return ""
