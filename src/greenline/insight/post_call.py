"""Whoever a conversation's client named is told of it when it is over (reference: Post-call webhooks).

A transcription arrives at least once, as far as the receiver takes it within `ATTEMPTS`; the audio at most once, as
the reference never repeats it: again is tried only what this server could not read to its end. Receivers tell
repetitions by the conversation and the type.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import httpx2
import orjson
import structlog
from prometheus_client import Counter

from greenline.clock import Clock
from greenline.conversations import service
from greenline.conversations.models import ConversationNotFound, NoAudio
from greenline.conversations.recordings import find_recording, read_recording
from greenline.conversations.uploads import link_maker
from greenline.insight.errors import NotTaken
from greenline.llm.prices import token_prices
from greenline.settings import Settings
from greenline.store.objects import Objects, StorageFault
from greenline.store.pool import Pool, Record
from greenline.store.rounds import Rounds
from greenline.store.sql import load_sql
from greenline.store.vault import SecretUnreadable, Vault
from greenline.tools.guard import OutboundRefused, guarded_client

log = structlog.get_logger(__name__)

Kind: TypeAlias = Literal["transcription", "audio"]
Body: TypeAlias = bytes | Callable[[], AsyncIterator[bytes]]
"""A whole message, or what makes its bytes anew each time: once to sign them, once to send them."""

LOOK_SECONDS: Final = 2.0
AT_ONCE: Final = 32
"""Messages on their way side by side: receivers that are slow hold up nobody else's, as long as there are fewer."""
POST_SECONDS: Final = 30.0
"""For an answer, which is to come at once (reference: Delivery), and for each piece of a body to be taken."""
EXCHANGE_SECONDS: Final = 120.0
"""For all of it: an hour of sound is 40 MB, which take a minute on a poor line."""
STORAGE_SECONDS: Final = 60.0
"""For the storage to give a recording: what it keeps back for longer must not look like a receiver that is slow."""
ATTEMPTS: Final = 6
"""Reference: a transcription is repeated up to five times."""
PAUSE: Final = timedelta(seconds=10)
"""Before the first repetition; each further one waits three times as long, together 20 minutes: a deployment."""
PASSING: Final = frozenset({408, 429})
"""With those from 500 up, answers after which it is repeated (reference: Delivery)."""
STORAGE_PATIENCE: Final = timedelta(days=1)
"""For a storage of recordings that is away."""
RECORDING_PATIENCE: Final = timedelta(minutes=2)
"""For a recording of hours to be encoded; a conversation in which nobody said a word has none."""
UNHELD: Final = timedelta(days=1)
"""Longer than any queue before an agent."""

MESSAGES = Counter("greenline_post_call_webhooks_total", "Messages of ended conversations", ["kind", "outcome"])

_SERVER_FAULTS: Final = 500
_END: Final = b'"}}'
_SIGNED: Final = "ElevenLabs-Signature"

_sql = load_sql(__package__, "post_call.sql")


@dataclass(frozen=True, slots=True)
class PostCallWebhook:
    """Where to tell of a conversation, and by which kind of message; signed if there is a secret."""

    kind: Kind
    url: str
    secret: str | None = field(default=None, repr=False)


async def keep_webhooks(
    pool: Pool,
    vault: Vault,
    clock: Clock,
    workspace_id: str,
    conversation_id: str,
    webhooks: Sequence[PostCallWebhook],
) -> None:
    """Write down who is to be told of a conversation that is about to begin."""
    rows = [
        (
            conversation_id,
            webhook.kind,
            workspace_id,
            webhook.url,
            vault.seal(webhook.secret, _context(conversation_id, webhook.kind)) if webhook.secret else None,
            clock.now(),
        )
        for webhook in webhooks
    ]
    async with pool.acquire() as connection, connection.transaction():
        for row in rows:
            await connection.execute(_sql["keep"], *row)


class PostCallWebhooks(Rounds):
    """Tells of conversations that are over. Many processes may do it at once."""

    def __init__(self, pool: Pool, vault: Vault, objects: Objects, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, "post_call", LOOK_SECONDS)
        self._pool = pool
        self._vault = vault
        self._objects = objects
        self._settings = settings
        self._link = link_maker(vault, clock, settings.public_url or f"http://{settings.host}:{settings.port}")
        self._on_their_way: set[asyncio.Task[None]] = set()

    async def round(self) -> bool:
        """Begin to tell what is due; whether there may be more."""
        if len(self._on_their_way) == AT_ONCE:
            await asyncio.wait(self._on_their_way, return_when=asyncio.FIRST_COMPLETED)
        now, room = self._clock.now(), AT_ONCE - len(self._on_their_way)
        again = now + timedelta(seconds=2 * EXCHANGE_SECONDS)
        due = await self._pool.fetch(_sql["claim"], now, now - RECORDING_PATIENCE, room, again)
        for row in due:
            task = asyncio.create_task(self._attempt(row))
            self._on_their_way.add(task)
            task.add_done_callback(self._on_their_way.discard)
        await self._pool.execute(_sql["forget_unheld"], now - UNHELD)
        return len(due) == room

    async def stop(self, seconds: float) -> None:
        """Begin nothing more, and cut what is not told within ``seconds``: sound is not told a second time."""
        await super().stop(seconds)
        if self._on_their_way:
            await asyncio.wait(self._on_their_way, timeout=seconds)
        for task in self._on_their_way:
            task.cancel()
        await asyncio.gather(*self._on_their_way, return_exceptions=True)

    async def _attempt(self, row: Record) -> None:
        try:
            await self._tell(row)
        except Exception:  # the boundary of one message: it is tried again
            log.exception("post_call.fault", conversation_id=row["conversation_id"], kind=row["kind"])

    async def _tell(self, row: Record) -> None:
        key = row["workspace_id"], row["conversation_id"], row["kind"]
        try:
            if row["attempts"] > (1 if row["kind"] == "audio" else ATTEMPTS):
                raise NotTaken("The server stopped, or failed, while it told it.", passing=False)
            body = await self._body(row)
            if body is not None:
                await self._post(row, body)
                MESSAGES.labels(row["kind"], "sent").inc()
        except (NotTaken, NoAudio, StorageFault) as error:
            until = self._next_try(row, error)
            if until is not None:
                MESSAGES.labels(row["kind"], "postponed").inc()
                log.warning("post_call.postponed", conversation_id=key[1], until=until, error=str(error))
                await self._pool.execute(_sql["postpone"], *key, until, not isinstance(error, StorageFault))
                return
            MESSAGES.labels(row["kind"], "lost").inc()
            log.error("post_call.lost", conversation_id=key[1], kind=key[2], reason=str(error))
        await self._pool.execute(_sql["forget"], *key)

    def _next_try(self, row: Record, error: Exception) -> datetime | None:
        """When it is tried again, if it is.

        What the storage did not give to its end was not sent to its end either: no receiver has taken that.
        """
        now = self._clock.now()
        if isinstance(error, StorageFault):
            age: timedelta = now - row["ended_at"]
            return now + max(age, PAUSE) if age < STORAGE_PATIENCE else None
        passing = isinstance(error, NotTaken) and error.passing
        if passing and row["kind"] == "transcription" and row["attempts"] < ATTEMPTS:
            pause: timedelta = PAUSE * 3 ** (row["attempts"] - 1)
            return now + pause
        return None

    async def _body(self, row: Record) -> Body | None:
        """What there is to tell, if anything."""
        key = row["workspace_id"], row["conversation_id"]
        try:
            return await (self._audio(*key) if row["kind"] == "audio" else self._transcription(*key))
        except ConversationNotFound:  # deleted meanwhile
            return None

    async def _transcription(self, workspace_id: str, conversation_id: str) -> Body:
        found = await service.get(self._pool, workspace_id, conversation_id, link=self._link, prices=token_prices)
        return orjson.dumps(self._envelope("post_call_transcription", found.model_dump(mode="json")))

    async def _audio(self, workspace_id: str, conversation_id: str) -> Body | None:
        conversation = await service.find(self._pool, workspace_id, conversation_id)
        recording = await find_recording(self._pool, workspace_id, conversation_id)
        if recording is None:
            log.info("post_call.no_audio", conversation_id=conversation_id)
            return None
        about = {"agent_id": conversation.agent_id, "conversation_id": conversation_id, "full_audio": ""}
        before = orjson.dumps(self._envelope("post_call_audio", about)).removesuffix(_END)

        async def body() -> AsyncIterator[bytes]:
            yield before
            pieces = read_recording(self._objects, recording, 0, recording.size_bytes)
            async for piece in _in_base64(_in_time(pieces, STORAGE_SECONDS)):
                yield piece
            yield _END

        return body

    def _envelope(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        return {"type": kind, "event_timestamp": int(self._clock.now().timestamp()), "data": data}

    async def _post(self, row: Record, body: Body) -> None:
        """Send it. What the receiver says besides the status is not read."""
        headers = {"content-type": "application/json"}
        if row["secret"] is not None:
            headers[_SIGNED] = await _signature(self._secret(row), int(self._clock.now().timestamp()), body)
        client = guarded_client(self._settings, seconds=POST_SECONDS, whole_seconds=EXCHANGE_SECONDS)
        content = body if isinstance(body, bytes) else body()
        try:
            async with client as http, http.stream("POST", row["url"], content=content, headers=headers) as answer:
                status = answer.status_code
        except OutboundRefused as error:
            raise NotTaken(str(error), passing=False) from error
        except httpx2.HTTPError as error:
            raise NotTaken(f"{type(error).__name__}: {error}", passing=True) from error
        if not answer.is_success:
            raise NotTaken(f"HTTP {status}", passing=status in PASSING or status >= _SERVER_FAULTS)

    def _secret(self, row: Record) -> str:
        try:
            return self._vault.open(row["secret"], _context(row["conversation_id"], row["kind"]))
        except SecretUnreadable as error:
            raise NotTaken(error.message, passing=True) from error


async def _signature(secret: str, at: int, body: Body) -> str:
    """The value of ``ElevenLabs-Signature`` for a body that is sent at ``at`` (Unix seconds)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode(), hashlib.sha256)
    if isinstance(body, bytes):
        digest.update(body)
    else:
        async for piece in body():
            digest.update(piece)
    return f"t={at},v0={digest.hexdigest()}"


async def _in_time(pieces: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """The pieces. Raises `StorageFault` when ``seconds`` were spent on waiting for them."""
    time = asyncio.get_running_loop().time
    while True:
        began = time()
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(pieces, None)
        except TimeoutError as error:
            raise StorageFault("The storage did not give the recording in time.") from error
        if piece is None:
            return
        seconds -= time() - began
        yield piece


async def _in_base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """One text of all pieces: each but the last is of whole groups of three bytes."""
    rest = b""
    async for piece in pieces:
        whole = rest + piece
        cut = len(whole) // 3 * 3
        rest = whole[cut:]
        yield base64.b64encode(whole[:cut])
    yield base64.b64encode(rest)


def _context(conversation_id: str, kind: str) -> str:
    return f"post_call_webhook:{conversation_id}:{kind}"
