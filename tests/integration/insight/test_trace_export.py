"""Ended conversations at a collector that speaks OTLP over HTTP: each once, late if need be, and never in the way."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from greenline.clock import ManualClock
from greenline.conversations.events import Ended
from greenline.errors import ConfigurationError
from greenline.insight.otlp import trace_id
from greenline.insight.trace_export import TRACES, TraceExport, read_headers
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import Channel, running_channel
from support.journal import projection, started, write
from support.scripted import Answer, Request, ScriptedServer, answer, scripted
from support.wait import eventually, until


@dataclass
class Collector:
    """Takes traces as the protocol says, but for what it is told to answer instead."""

    answers: list[Answer] = field(default_factory=list)
    asked: int = 0
    spans: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        self.asked += 1
        assert (request.method, request.target) == ("POST", "/v1/traces")
        assert request.headers["content-type"] == "application/json"
        assert request.headers["authorization"] == "Bearer k=1"
        if self.answers:
            return self.answers.pop(0)
        for resource in request.json["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.spans.extend(scope["spans"])
        return answer({"partialSuccess": {}})

    @property
    def traces(self) -> list[str]:
        """The ids of the traces that have come whole, with their root."""
        return [span["traceId"] for span in self.spans if "parentSpanId" not in span]


@dataclass
class Exporting:
    """A channel whose conversations go to a collector."""

    channel: Channel
    collector: Collector
    server: ScriptedServer
    export: TraceExport
    settings: Settings

    async def converse(self, text: str = "I would like oolong") -> str:
        """A conversation from its beginning to its end; returns its id."""
        known = {row["id"] for row in await self.channel.conversations()}
        await self.channel.hear(text)
        await self.channel.quiet()
        self.channel.clock.advance(timedelta(minutes=11))
        await self.channel.quiet()
        (new,) = [row["id"] for row in await self.channel.conversations() if row["id"] not in known]
        return str(new)

    async def passing(self, condition: Callable[[], object]) -> None:
        """Let time pass until a condition is true."""

        async def true() -> object:
            return condition()

        await self.channel.pass_time(true, step=5.0)

    async def settled(self) -> bool:
        """Whether nothing is on its way any more."""
        return not await self.channel.pool.fetchval(
            "select exists (select 1 from conversation where ended_at is not null and trace_due_at < 'infinity')"
        )

    async def settling(self) -> None:
        """Let time pass until nothing is on its way any more."""
        await self.channel.pass_time(self.settled, step=5.0)


@pytest.fixture
async def exporting(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Exporting]:
    collector = Collector()
    async with running_channel(pool, dsn, clock, settings) as channel, scripted(collector) as server:
        headers = SecretStr("authorization=Bearer%20k%3D1, x-team=shop")
        settings = settings.model_copy(update={"otlp_endpoint": f"{server.url}/", "otlp_headers": headers})
        export = TraceExport(pool, clock, settings)
        export.start()
        channel.servers.append(server)
        try:
            yield Exporting(channel, collector, server, export, settings)
        finally:
            await export.stop(0.0)


@contextlib.contextmanager
def counted(outcome: str, times: int) -> Any:
    """What happens in the block is counted so often."""
    before = TRACES.labels(outcome)._value.get()
    yield
    assert TRACES.labels(outcome)._value.get() - before == times


async def test_an_ended_conversation_arrives_once_and_one_that_goes_on_does_not(exporting: Exporting) -> None:
    with counted("sent", 1):
        conversation_id = await exporting.converse()
        await exporting.channel.hear("And now?")
        await exporting.channel.quiet()
        await exporting.passing(lambda: exporting.collector.traces)
        await until(exporting.settled)
        for _ in range(3):
            exporting.channel.clock.advance(timedelta(seconds=5))
            await exporting.channel.settled()
        assert exporting.collector.traces == [trace_id(conversation_id)]
    names = [span["name"] for span in exporting.collector.spans]
    assert names[:3] == [
        "elevenlabs.conversation",
        "elevenlabs.recv.user_transcript",
        "elevenlabs.recv.agent_response",
    ]
    assert exporting.export.state() == {"traces": True}


async def test_what_an_agent_in_zero_retention_mode_was_told_goes_nowhere(exporting: Exporting) -> None:
    channel = exporting.channel
    await channel.configure(privacy={"zero_retention_mode": True})
    row = projection("conv_zero", agent_id=channel.agent_id, started_at=channel.clock.now())
    await write(channel.pool, row, [(0, started(row)), (1, Ended(reason="Bye"))])

    async def settled() -> bool:
        channel.clock.advance(timedelta(seconds=5))
        return bool(await channel.pool.fetchval("select trace_due_at = 'infinity' from conversation"))

    await until(settled)
    assert exporting.collector.asked == 0


async def test_a_failed_conversation_arrives_as_one(exporting: Exporting) -> None:
    conversation_id = await exporting.converse()
    await exporting.channel.pool.execute("update conversation set status = 'failed' where id = $1", conversation_id)
    await exporting.passing(lambda: exporting.collector.traces)
    assert exporting.collector.spans[0]["status"]["code"] == 2


@pytest.mark.parametrize("away", [Answer(503, headers={"retry-after": "60"}), Answer(429), Answer(cut=True)])
async def test_a_collector_that_is_away_is_asked_again(exporting: Exporting, away: Answer) -> None:
    exporting.collector.answers = [away, away]
    with counted("sent", 1), counted("postponed", 2), counted("lost", 0):
        await exporting.converse()
        await exporting.passing(lambda: exporting.collector.traces)
        await until(exporting.settled)
    assert exporting.collector.asked == 3


async def test_a_header_that_can_not_be_sent_is_not_repeated_in_the_log(exporting: Exporting) -> None:
    exporting.export._headers["x-key"] = "hidden\nabc"
    with structlog.testing.capture_logs() as logs:
        await exporting.converse()
        await exporting.passing(lambda: any(line["event"] == "traces.postponed" for line in logs))
    assert "LocalProtocolError" in str(logs)
    assert "hidden" not in str(logs)


async def test_while_the_collector_hangs_conversations_go_on(exporting: Exporting) -> None:
    exporting.collector.answers = [Answer(hang=True)]
    await exporting.converse()
    await exporting.passing(lambda: exporting.collector.asked)
    await exporting.channel.hear("Are you there?")
    assert len(await exporting.channel.told(2)) == 2


@pytest.mark.parametrize(
    "final", [Answer(400), answer({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}})]
)
async def test_what_a_collector_refuses_for_good_is_lost_and_seen(exporting: Exporting, final: Answer) -> None:
    exporting.collector.answers = [final]
    with structlog.testing.capture_logs() as logs, counted("lost", 1):
        conversation_id = await exporting.converse()
        await exporting.passing(lambda: exporting.collector.asked)
        await eventually(lambda: any(line["event"] == "traces.lost" for line in logs))
        await until(exporting.settled)
    (lost,) = [line for line in logs if line["event"] == "traces.lost"]
    assert (lost["log_level"], lost["conversation_id"]) == ("error", conversation_id)
    await exporting.converse("And one more")
    await exporting.passing(lambda: exporting.collector.traces)
    assert exporting.collector.asked == 2


async def test_after_an_hour_without_a_collector_a_trace_is_given_up(exporting: Exporting) -> None:
    exporting.collector.answers = [Answer(503)] * 1000
    with counted("lost", 1):
        await exporting.converse()
        await exporting.passing(lambda: exporting.collector.asked >= 3)
        exporting.channel.clock.advance(timedelta(hours=1))
        await exporting.settling()


async def test_two_processes_send_each_conversation_once(exporting: Exporting) -> None:
    other = TraceExport(exporting.channel.pool, exporting.channel.clock, exporting.settings)
    other.start()
    expected = [trace_id(await exporting.converse(text)) for text in ("one", "two", "three")]
    await exporting.passing(lambda: len(exporting.collector.traces) >= 3)
    await until(exporting.settled)
    await other.stop(0.0)
    assert sorted(exporting.collector.traces) == sorted(expected)


async def test_without_a_collector_nothing_runs(pool: Pool, clock: ManualClock, settings: Settings) -> None:
    export = TraceExport(pool, clock, settings)
    export.start()
    assert export.state() == {}
    await export.stop(0.0)


@pytest.mark.parametrize(
    ("text", "headers"),
    [("", {}), ("a=b", {"a": "b"}), (" A = b%20c ,x", {"a": "b c"}), ("a=b=c,d=e", {"a": "b=c", "d": "e"})],
)
def test_headers_are_written_as_those_of_opentelemetry(text: str, headers: dict[str, str]) -> None:
    assert read_headers(text) == headers


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("authorization=Bearer%20hidden%0Aabc", "the value of authorization"),
        ("x-a=b,authorization=hiddén", "the value of authorization"),
        ("x-a=b,authorization=hidden%FF", "the value of authorization"),
        ("x-a=b,Bearer hidden=", "entry 2"),
        ("=hidden", "entry 1"),
        ("näme=hidden", "entry 1"),
    ],
)
def test_headers_that_http_does_not_carry_stop_the_start(
    pool: Pool, clock: ManualClock, settings: Settings, text: str, told: str
) -> None:
    wrong = settings.model_copy(update={"otlp_headers": SecretStr(text)})
    with pytest.raises(ConfigurationError, match=rf"GREENLINE_OTLP_HEADERS: {told}") as raised:
        TraceExport(pool, clock, wrong)
    assert "hidd" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://user:hidden@collector:4318", "may not carry a user name or password.*GREENLINE_OTLP_HEADERS"),
        ("http://collector:25", "Port 25 belongs to another protocol"),
        ("http://user:hidden", "is no base address"),
        ("http://:4318", "is no base address"),
        ("http://collector:4318?key=hidden", "is no base address"),
    ],
)
def test_an_address_that_nothing_can_be_posted_to_stops_the_start(
    pool: Pool, clock: ManualClock, settings: Settings, address: str, told: str
) -> None:
    wrong = settings.model_copy(update={"otlp_endpoint": address})
    with pytest.raises(ConfigurationError, match=rf"GREENLINE_OTLP_ENDPOINT.*{told}") as raised:
        TraceExport(pool, clock, wrong)
    assert "hidden" not in str(raised.value)
