"""Regular expressions that somebody else has written: a process of its own matches each, and can be stopped.

Python's engine may take longer than the world lasts (``(\\w+\\s?)+$`` on one line), and holds the interpreter all the
while: in this process no conversation would go on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from signal import SIGKILL, SIGXCPU
from typing import Final

import structlog

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Processes. Most are done in 20 ms, the others hold a core, with the least priority, and 10 MB for a second."""

_FOUND: Final = 10
_NOT_FOUND: Final = 11
_MATCH: Final = f"""
import json, os, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
os.nice(10)
pattern, text = json.load(sys.stdin)
try:
    found = re.search(pattern, text)
except (re.error, RecursionError, OverflowError):
    found = None
os._exit({_NOT_FOUND} if found is None else {_FOUND})
"""
"""The kernel stops it after a second of work, also when nobody waits for it any more."""


class Patterns:
    """Matches ``at_once`` patterns and no more: the next one has its turn when one of them is done.

    How long a caller waits is the caller's affair: whoever is cancelled takes its place, or its process, away.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._turns = asyncio.Semaphore(at_once)

    async def found(self, pattern: str, text: str) -> bool:
        """Whether ``pattern`` is in ``text``. One that is invalid, or works for longer than a second, is not."""
        async with self._turns:
            code = await _exit_code(pattern, text)
        if code in (-SIGXCPU, -SIGKILL):
            log.warning("pattern.too_slow", pattern=pattern[:200])
        elif code not in (_FOUND, _NOT_FOUND):
            log.error("pattern.failed", pattern=pattern[:200], exit_code=code)
        return code == _FOUND


async def _exit_code(pattern: str, text: str) -> int | None:
    matching = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _MATCH, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env={}
    )
    try:
        await matching.communicate(json.dumps([pattern, text]).encode())
    finally:
        if matching.returncode is None:
            matching.kill()
            await matching.wait()
    return matching.returncode
