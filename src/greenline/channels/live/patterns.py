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


async def matches(pattern: str, text: str) -> bool:
    """Whether ``pattern`` is found in ``text``. One that is invalid, or works for longer than a second, is not."""
    matching = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _MATCH, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env={}
    )
    try:
        await matching.communicate(json.dumps([pattern, text]).encode())
    finally:
        if matching.returncode is None:
            matching.kill()
            await matching.wait()
    code = matching.returncode
    if code in (-SIGXCPU, -SIGKILL):
        log.warning("pattern.too_slow", pattern=pattern[:200])
    elif code not in (_FOUND, _NOT_FOUND):
        log.error("pattern.failed", pattern=pattern[:200], exit_code=code)
    return code == _FOUND
