"""What a process holds, to be compared before and after much work."""

from __future__ import annotations

import os
import threading


def threads() -> list[str]:
    """Names of the threads, in order, but for those of the event loop's executor.

    It starts threads up to a limit as work overlaps, and keeps them.
    """
    return sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_"))


def open_files() -> int:
    """Files and sockets of this process."""
    return len(os.listdir("/proc/self/fd"))
