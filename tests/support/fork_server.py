"""Processes of ``python -m MODULE`` that come from one which has imported the server already: that takes seconds.

As a program it imports, and forks whenever it is asked to. What it forks runs as if it had been started alone, with
arguments, an environment and pipes of its own. When the process of tests is gone, however it ended, it ends what
still runs, and itself.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

IMPORTED: Final = ("greenline.serving", "greenline.emulator.main", "support.shop")
MOST_BYTES: Final = 200_000
"""Of a request: arguments and an environment."""
END_SECONDS: Final = 10.0
"""Until who was asked to end is killed: a server stops its database first."""


class ForkedProcess:
    """What `asyncio.subprocess.Process` is, as far as tests need it."""

    def __init__(self, pid: int, server: ForkServer, stdout: Pipe, stderr: Pipe | None) -> None:
        self.pid = pid
        self.stdout = stdout.reader
        self.stderr = stderr.reader if stderr else None
        self.returncode: int | None = None
        self._server = server
        self._pipes = [pipe for pipe in (stdout, stderr) if pipe]
        self._ended = asyncio.Event()
        self._descriptor = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._reap)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended takes none."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """The exit status, or the negative number of a signal, when it has ended and all that it wrote is there."""
        await self._ended.wait()
        for pipe in self._pipes:
            await pipe.closed.wait()
        assert self.returncode is not None
        return self.returncode

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.returncode = self._server.reap(self.pid)
        self._ended.set()


class Pipe(asyncio.StreamReaderProtocol):
    """What a process writes."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.closed = asyncio.Event()
        super().__init__(self.reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        super().connection_lost(exc)
        self.closed.set()

    @classmethod
    async def open(cls, descriptor: int) -> Pipe:
        """Read from this end of a pipe."""
        _, pipe = await asyncio.get_running_loop().connect_read_pipe(cls, os.fdopen(descriptor, "rb", 0))
        return pipe


class ForkServer:
    """The process that imports and forks, as this one asks it."""

    def __init__(self) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "PYTHONPATH": with_tests(os.environ), "OPENBLAS_NUM_THREADS": "1"}
        with there:
            command = [sys.executable, "-m", __spec__.name, str(there.fileno())]
            # In a session of its own: a terminal's Ctrl-C is for the tests, which then end what they have started.
            self._process = subprocess.Popen(
                command, pass_fds=[there.fileno()], env=environment, start_new_session=True
            )
        self._socket = here

    async def run(self, *arguments: str, environment: Mapping[str, str], errors: bool = False) -> ForkedProcess:
        """``python -m`` with these arguments and no other environment; its ``errors`` are read, or this process's."""
        stdout, its_stdout = os.pipe()
        stderr, its_stderr = os.pipe() if errors else (None, os.dup(2))
        pid = self._ask({"run": arguments, "environment": dict(environment)}, [its_stdout, its_stderr])
        os.close(its_stdout)
        os.close(its_stderr)
        return ForkedProcess(pid, self, await Pipe.open(stdout), await Pipe.open(stderr) if stderr else None)

    def reap(self, pid: int) -> int:
        """The exit status of a process that has ended."""
        return self._ask({"reap": pid})

    def close(self) -> None:
        """End it, and what it has forked that still runs."""
        self._socket.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> int:
        socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
        return int(self._socket.recv(MOST_BYTES))


async def start(
    *command: str, environment: Mapping[str, str], errors: bool = True, fresh: bool = False
) -> asyncio.subprocess.Process | ForkedProcess:
    """Run ``python -m COMMAND``; its ``errors`` are read, or this process's.

    A ``fresh`` process imports by itself what it needs, for seconds: for tests of the start, and on macOS, which
    neither forks safely nor tells of the end of a process by a descriptor.
    """
    if sys.platform == "linux" and not fresh:
        return await fork_server().run(*command, environment=environment, errors=errors)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        env={**environment, "PYTHONPATH": with_tests(environment)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if errors else None,
    )


@functools.cache
def fork_server() -> ForkServer:
    """That of this process of tests, which ends with it."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def with_tests(environment: Mapping[str, str]) -> str:
    """The ``PYTHONPATH`` of an environment, and `support` in it."""
    return os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])


def _imported() -> None:
    """Import as `greenline serve` does: without the collector, which is never to look at what was imported."""
    gc.disable()
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    gc.enable()
    assert threading.active_count() == 1, "a fork has only one of the threads; what others hold it would wait for"


def _forked(requests: socket.socket) -> list[str]:
    """Fork whenever one is asked to. Returns in the forked process, with what is to run; nothing at the end."""
    running: set[int] = set()
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, MOST_BYTES, 2)
        if not data:
            _end(running)
            return []
        request = json.loads(data)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            running.discard(request["reap"])
            requests.send(b"%d" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if not pid:
            _become(request["environment"], descriptors)
            return list(request["run"])
        running.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(b"%d" % pid)


def _end(running: set[int]) -> None:
    """Nobody asks for these processes any more; one may be frozen."""
    ends = [os.pidfd_open(pid) for pid in running]
    for end in ends:
        signal.pidfd_send_signal(end, signal.SIGTERM)
        signal.pidfd_send_signal(end, signal.SIGCONT)
    deadline = time.monotonic() + END_SECONDS
    for end in ends:
        select.select([end], [], [], max(0.0, deadline - time.monotonic()))
        signal.pidfd_send_signal(end, signal.SIGKILL)


def _become(environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), *descriptors)):
        os.dup2(descriptor, number)
        os.close(descriptor)


if __name__ == "__main__":
    _imported()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        sys.argv = _forked(asked)
    if sys.argv:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
