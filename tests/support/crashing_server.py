"""``greenline serve`` that dies by SIGKILL at the nth passage of a checkpoint, and whose agents can order at a shop.

python crashing_server.py CHECKPOINT N SHOP serve --port 0 ...

With N = 0 it lives. SHOP is the address of a `support.shop`; empty: there is none.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from greenline import checkpoints
from greenline.channels.whatsapp import answer
from greenline.cli import main
from greenline.tools.models import Tool
from greenline.tools.system import system_tools
from support.shop import OrderTool


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


def give_tool(tool: Tool) -> None:
    """Every agent on WhatsApp has ``tool`` too."""
    own = system_tools

    def tools(built_in: Mapping[str, Any], *, interactive: bool) -> tuple[Any, ...]:
        return (*own(built_in, interactive=interactive), tool)

    vars(answer)["system_tools"] = tools


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    if sys.argv[3]:
        give_tool(OrderTool(sys.argv[3]))
    sys.argv = ["greenline", *sys.argv[4:]]
    main()
