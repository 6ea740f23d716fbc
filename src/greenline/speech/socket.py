"""A provider's WebSocket: sending never waits, and whatever goes wrong comes out as a `RecognitionError` in words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from greenline.speech.errors import RecognitionError
from greenline.speech.http import REQUEST_FAULTS, Address, failure
from greenline.speech.models import Hint

MAX_WAITING_BYTES: Final = 8_000_000
"""Two minutes of PCM with base64: a provider that takes nothing for so long is gone."""
_CLOSE_SECONDS: Final = 1.0
Frame: TypeAlias = str | bytes


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """What is sent when nothing else was for ``seconds``."""

    frame: Frame
    seconds: float


class SpeechSocket:
    """A connection with a task that sends what waits."""

    def __init__(
        self, provider: str, address: Address, connection: ClientConnection, keep_alive: KeepAlive | None
    ) -> None:
        self._provider = provider
        self._address = address
        self._connection = connection
        self._keep_alive = keep_alive
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._waiting = 0
        self.kept_alive = 0
        """How often the frame of ``keep_alive`` was sent."""
        self._sender = asyncio.create_task(self._send())

    @classmethod
    async def open(
        cls, provider: str, address: Address, path: str, *, seconds: float, keep_alive: KeepAlive | None = None
    ) -> SpeechSocket:
        """Connect to ``path`` of a provider whose address is one of HTTP. Raises `RecognitionError`."""
        url = "ws" + address.url.removeprefix("http") + path
        try:
            connection = await connect(
                url,
                additional_headers=dict(address.headers),
                open_timeout=seconds,
                close_timeout=_CLOSE_SECONDS,
                max_size=2**20,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            text = failure(status, address.message_of(bytes(error.response.body or b"")))
            raise RecognitionError(provider, text, of_request=status in REQUEST_FAULTS) from error
        except (OSError, TimeoutError, InvalidURI, WebSocketException) as error:
            raise RecognitionError(provider, f"not reached: {str(error) or type(error).__name__}") from error
        return cls(provider, address, connection, keep_alive)

    def send(self, frame: Frame) -> None:
        """Send it when the frames before it are sent. More than `MAX_WAITING_BYTES` ends the connection."""
        if self._waiting > MAX_WAITING_BYTES:
            self._connection.transport.abort()
            return
        self._waiting += len(frame)
        self._frames.put_nowait(frame)

    async def messages(self) -> AsyncIterator[Mapping[str, Any]]:
        """The JSON objects that come. Raises `RecognitionError` when the connection ends and for what is no JSON."""
        try:
            async for raw in self._connection:
                if isinstance(raw, str):
                    yield self._parsed(self._address.masked(raw.encode()))
            raise RecognitionError(self._provider, self._farewell())
        except ConnectionClosed as error:
            raise RecognitionError(self._provider, self._farewell()) from error

    async def aclose(self) -> None:
        """Close, politely for at most a second. Safe to call twice."""
        self._sender.cancel()
        await asyncio.wait([self._sender])
        try:
            # Its own limit begins once the close frame is out: never, where the other side takes nothing any more.
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._connection.close()
        except TimeoutError:
            self._connection.transport.abort()
        except asyncio.CancelledError:  # whoever closes is in a hurry
            self._connection.transport.abort()
            raise

    async def _send(self) -> None:
        seconds = self._keep_alive.seconds if self._keep_alive else None
        try:
            while True:
                frame: Frame
                try:
                    async with asyncio.timeout(seconds):
                        frame = await self._frames.get()
                        self._waiting -= len(frame)
                except TimeoutError:
                    frame = self._keep_alive.frame if self._keep_alive else b""
                    self.kept_alive += 1
                await self._connection.send(frame)
        except ConnectionClosed:
            return  # the reader says why

    def _parsed(self, raw: bytes) -> Mapping[str, Any]:
        with contextlib.suppress(ValueError):
            message = orjson.loads(raw)
            if isinstance(message, dict):
                return message
        raise RecognitionError(self._provider, f"a message is no JSON object: {raw.decode()[:100]!r}")

    def _farewell(self) -> str:
        code, reason = self._connection.close_code, self._connection.close_reason
        reason = self._address.masked((reason or "").encode()).decode()
        return f"the provider closed the connection ({code or 'cut'}{f': {reason}' if reason else ''})"


class SocketStream:
    """What the `RecognitionStream` of every provider's socket has in common; they differ in their messages."""

    def __init__(self, provider: str, socket: SpeechSocket) -> None:
        self._provider = provider
        self._socket = socket
        self._hints: asyncio.Queue[Hint | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self._failure: RecognitionError | None = None
        self._reader = asyncio.create_task(self._read())

    @property
    def provider(self) -> str:
        """Who hears."""
        return self._provider

    async def hints(self) -> AsyncIterator[Hint]:
        """What the provider says on its way."""
        while (hint := await self._hints.get()) is not None:
            yield hint
        self._hints.put_nowait(None)

    async def aclose(self) -> None:
        """Close the connection."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        await self._socket.aclose()

    def on_message(self, message: Mapping[str, Any]) -> None:
        """Take in a message. Raises `RecognitionError` for one that reports an error."""
        raise LookupError(message)

    def hint(self, hint: Hint) -> None:
        """Pass on what the provider thinks."""
        self._hints.put_nowait(hint)

    async def until(
        self, condition: Callable[[], bool], seconds: float, *, reached: Callable[[], float] = lambda: 0.0
    ) -> bool:
        """Whether ``condition`` came true in time, which begins anew whenever more of the sound is ``reached``.

        What waited to be heard takes a provider a while. Raises the error of a connection that ended before.
        """
        now, most = asyncio.get_running_loop().time, reached()
        try:
            async with asyncio.timeout(seconds) as limit:
                while not condition():
                    if self._failure is not None:
                        raise self._failure
                    self._news.clear()
                    await self._news.wait()
                    if reached() > most:
                        most = reached()
                        limit.reschedule(now() + seconds)
        except TimeoutError:
            return False
        return True

    async def _read(self) -> None:
        try:
            async for message in self._socket.messages():
                self.on_message(message)
                self._news.set()
        except RecognitionError as error:
            self._failure = error
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            self._failure = RecognitionError(self._provider, f"a message is not as its API says: {error!r}")
        finally:
            self._news.set()
            self._hints.put_nowait(None)
