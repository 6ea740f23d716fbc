"""Named places on the way of a message, where a test can stop the process.

In production a checkpoint is one comparison with None. The crash tests install a hook that kills the process
at the nth passage of one of `NAMES`, and then prove that nothing was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NAMES: Final = (
    "webhook.received",
    "inbox.committed",
    "turn.claimed",
    "turn.tool_called",
    "turn.tool_ran",
    "turn.step_saved",
    "turn.replied",
    "turn.finishing",
    "turn.finished",
    "sender.looked",
    "sender.marked",
    "sender.posted",
    "sender.settled",
    "statuses.claimed",
    "statuses.applied",
)

_hook: Callable[[str], None] | None = None


def checkpoint(name: str) -> None:
    """Tell the hook, if there is one, that the process passes ``name``."""
    if _hook is not None:
        _hook(name)


def install_hook(hook: Callable[[str], None] | None) -> None:
    """Call ``hook`` at every checkpoint of this process from now on; None takes it away."""
    global _hook
    _hook = hook
