"""Looks the names of others up where a silent name server holds up nobody else, and not the end of the process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Row: TypeAlias = tuple[Any, Any, int, str, tuple[Any, ...]]


class _Unawaited(Executor):
    """At most ``most`` threads, which end when nothing waits for them.

    Python joins the threads of its own executors when the process ends, and a lookup can't be stopped: a resolver
    asks a silent name server for ten seconds and more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As any executor's."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append(partial(_settle, future, partial(fn, *args, **kwargs)))
            begins = self._running < self._most
            self._running += begins
        if begins:
            threading.Thread(target=self._work, name="lookup", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                work = self._waiting.popleft()
            work()


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - the boundary of a thread: handed to who waits
        future.set_exception(error)
    else:
        future.set_result(result)


_THREADS: Final = _Unawaited(200)
"""The event loop has two for names (libuv), in which a silent name server would hold up those of Meta. A thread that
waits costs nothing."""


async def look_up(host: str, port: int) -> list[Row]:
    """The addresses of ``host``, in the system's order. Raises `socket.gaierror` and ``UnicodeError``."""
    find = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, find)
