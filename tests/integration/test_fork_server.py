"""What tests start ends with them."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from support.fork_server import with_tests
from support.wait import PATIENCE_SECONDS, eventually

TESTS = """
import asyncio, os, signal, sys
from support.fork_server import start

async def main():
    one, frozen = [await start("greenline", "emulator", "--port", "0", environment=os.environ) for _ in range(2)]
    await one.stdout.readline()
    frozen.send_signal(signal.SIGSTOP)
    print(one.pid, frozen.pid, flush=True)
    await one.wait()

asyncio.run(main())
"""


def runs(pid: int) -> bool:
    """Also a process whose parent is gone ends only when somebody has reaped it: one that is dead runs no more."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
async def test_no_process_outlives_tests_that_are_killed() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", TESTS),
        env={**os.environ, "PYTHONPATH": with_tests(os.environ)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        started = [int(pid) for pid in (await process.stdout.readline()).split()]
    assert [runs(pid) for pid in started] == [True, True]
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await eventually(lambda: not any(map(runs, started)))
