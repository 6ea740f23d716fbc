"""``greenline serve`` that dies by SIGKILL at the nth passage of a checkpoint.

python crashing_server.py CHECKPOINT N serve --port 0 ...
"""

from __future__ import annotations

import os
import signal
import sys

from greenline import checkpoints
from greenline.cli import main


def die_at(name: str, passages: int) -> None:
    """Kill this process when ``name`` is passed for the ``passages``-th time."""
    seen = 0

    def hook(passed: str) -> None:
        nonlocal seen
        if passed == name:
            seen += 1
            if seen == passages:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.install_hook(hook)


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["greenline", *sys.argv[3:]]
    main()
