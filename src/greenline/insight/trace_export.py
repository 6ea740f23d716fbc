"""Ended conversations as traces at the operator's collector: OTLP over HTTP, in JSON (OTLP 1.x, "OTLP/HTTP").

Beside the conversations, not in their way: a loop looks for those that have ended and posts them. A collector that is
away is asked again, in pauses that double, for `PATIENCE`; then the trace is given up, which is logged and counted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx2
import orjson
import structlog
from prometheus_client import Counter

from greenline.clock import Clock
from greenline.conversations import service
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.retention import privacy_of
from greenline.errors import ConfigurationError
from greenline.insight.errors import NotTaken
from greenline.insight.traces import otlp_traces
from greenline.settings import Settings
from greenline.store.pool import Pool, Record
from greenline.store.rounds import Rounds
from greenline.store.sql import load_sql
from greenline.tools.guard import Allowance, GuardedTransport, OutboundRefused, check_address

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 5.0
AT_ONCE: Final = 8
"""Posts of one look, side by side: a collector is no reason to hold many transcripts in memory."""
POST_SECONDS: Final = 10.0
"""As the exporters of OpenTelemetry (OTEL_EXPORTER_OTLP_TIMEOUT)."""
PATIENCE: Final = timedelta(hours=1)
LONGEST_PAUSE: Final = timedelta(minutes=5)
PASSING: Final = frozenset({429, 502, 503, 504})
"""Answers after which a request is to be repeated (OTLP/HTTP, "Retryable Response Codes"); others are final."""
MAX_ANSWER: Final = 64 * 1024
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token

TRACES = Counter("greenline_traces_total", "Traces of conversations for the collector", ["outcome"])

_sql = load_sql(__package__, "trace_export.sql")


class TraceExport(Rounds):
    """Posts the traces of ended conversations. Many processes may do it at once. Does nothing without a collector.

    Raises `ConfigurationError` for an address or headers that no request could have.
    """

    def __init__(self, pool: Pool, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, "traces", LOOK_SECONDS)
        self._pool = pool
        self._url = read_endpoint(settings.otlp_endpoint) if settings.otlp_endpoint else None
        self._headers = read_headers(settings.otlp_headers.get_secret_value() if settings.otlp_headers else "")

    def start(self) -> None:
        """Begin to look, if there is a collector."""
        if self._url is not None:
            super().start()

    def state(self) -> dict[str, bool]:
        """Whether the loop is alive, for `/readyz`; nothing without a collector."""
        return {} if self._url is None else super().state()

    async def round(self) -> bool:
        """Post what is due; whether there may be more."""
        now = self._clock.now()
        for row in await self._pool.fetch(_sql["give_up"], now - PATIENCE):
            self._lost(row["id"], "The collector took nothing for an hour.")
        again = now + timedelta(seconds=2 * POST_SECONDS)  # if this process dies on it
        due = await self._pool.fetch(_sql["claim"], now, now - PATIENCE, AT_ONCE, again)
        if due and self._url is not None:
            await self._export_all(due, self._url)
        return len(due) == AT_ONCE

    async def _export_all(self, rows: Sequence[Record], url: str) -> None:
        allowed = Allowance((urlsplit(url).hostname or "",))  # wherever it is: the operator named it
        transport = GuardedTransport(allowed, max_bytes=MAX_ANSWER, whole_seconds=POST_SECONDS)
        async with httpx2.AsyncClient(transport=transport, timeout=POST_SECONDS, trust_env=False) as http:
            exports = (self._export(http, url, row["workspace_id"], row["id"]) for row in rows)
            for fault in await asyncio.gather(*exports, return_exceptions=True):
                if fault is not None:  # the boundary of one conversation: it is tried again
                    log.error("traces.fault", exc_info=fault)

    async def _export(self, http: httpx2.AsyncClient, url: str, workspace_id: str, conversation_id: str) -> None:
        try:
            conversation = await service.find(self._pool, workspace_id, conversation_id)
            journal = await service.load_journal(self._pool, workspace_id, conversation_id)
            privacy = await privacy_of(self._pool, workspace_id, conversation_id)
        except ConversationNotFound:  # deleted meanwhile
            return
        until = None
        try:
            if not privacy.zero_retention_mode:
                await self._post(http, url, otlp_traces(conversation, journal, source="otlp"))
                TRACES.labels("sent").inc()
        except NotTaken as error:
            if error.passing:
                until = self._next_try(conversation.ended_at, error.seconds)
                TRACES.labels("postponed").inc()
                log.warning("traces.postponed", conversation_id=conversation_id, until=until, error=str(error))
            else:
                self._lost(conversation_id, str(error))
        await self._pool.execute(_sql["settle"], workspace_id, conversation_id, until)

    async def _post(self, http: httpx2.AsyncClient, url: str, trace: Mapping[str, Any]) -> None:
        headers = {**self._headers, "content-type": "application/json"}
        try:
            answer = await http.post(url, content=orjson.dumps(trace), headers=headers)
        except (httpx2.NetworkError, httpx2.TimeoutException) as error:
            raise NotTaken(f"{type(error).__name__}: {error}", passing=True) from error
        except httpx2.HTTPError as error:  # its text may repeat a header, and with it a key
            raise NotTaken(type(error).__name__, passing=True) from None
        if not answer.is_success:
            passing = answer.status_code in PASSING
            raise NotTaken(f"HTTP {answer.status_code}", passing=passing, seconds=_retry_after(answer))
        if (rejected := _rejected(answer)) is not None:
            raise NotTaken(rejected, passing=False)

    def _next_try(self, ended_at: datetime | None, seconds: float) -> datetime:
        now = self._clock.now()
        pause = max(now - (ended_at or now), timedelta(seconds=max(seconds, LOOK_SECONDS)))
        return now + min(pause, LONGEST_PAUSE)

    def _lost(self, conversation_id: str, reason: str) -> None:
        TRACES.labels("lost").inc()
        log.error("traces.lost", conversation_id=conversation_id, reason=reason)


def read_endpoint(text: str) -> str:
    """Where traces are posted to, by the base address of a collector. Raises `ConfigurationError`."""
    try:
        url = httpx2.URL(text)
        check_address(url)
    except OutboundRefused as error:
        raise ConfigurationError(
            f"GREENLINE_OTLP_ENDPOINT: {error} What the collector wants to see goes into GREENLINE_OTLP_HEADERS."
        ) from None
    except httpx2.InvalidURL:  # its text may repeat a password
        url = httpx2.URL()
    if not url.host or url.query or url.fragment:
        raise ConfigurationError("GREENLINE_OTLP_ENDPOINT is no base address, such as http://collector:4318.")
    return f"{text.rstrip('/')}/v1/traces"


def read_headers(text: str) -> dict[str, str]:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS has them: ``name=value,name=value``, percent-encoded.

    Raises `ConfigurationError`, which repeats no value, for what HTTP does not carry.
    """
    headers = {}
    for place, pair in enumerate(text.split(","), 1):
        written, equals, value = pair.partition("=")
        if not equals:
            continue
        name, value = unquote(written).strip().lower(), unquote(value).strip()
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"GREENLINE_OTLP_HEADERS: entry {place} has no name of a header before its `=`.")
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"GREENLINE_OTLP_HEADERS: the value of {name} has characters that HTTP does not carry. Write it "
                "anew, percent-encoded, without line breaks and letters beyond ASCII."
            )
        headers[name] = value
    return headers


def _retry_after(answer: httpx2.Response) -> float:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0.0


def _rejected(answer: httpx2.Response) -> str | None:
    """What a collector says that took the request but not its spans (OTLP, "Partial Success"): none is repeated."""
    try:
        told = orjson.loads(answer.content or b"{}")
    except orjson.JSONDecodeError:
        return None
    partial = told.get("partialSuccess") if isinstance(told, dict) else None
    if not isinstance(partial, dict) or str(partial.get("rejectedSpans", 0)) == "0":
        return None
    return f"{partial['rejectedSpans']} spans were rejected: {partial.get('errorMessage', '')}"[:300]
