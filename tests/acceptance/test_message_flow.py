"""Messages over Meta's wire, from the person's phone and back, with every kind of fault between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from support.meta import Emulator, Person, emulator
from support.server import ServeProcess, serve_process

KEY = "gl_message_flow"
ECHO = r"offline: when ^(.+)$ -> say You said \1"
RETRIES = [0.1, 0.2, 0.4, 0.8] + [1.0] * 60


def environment(meta: Emulator, dsn: str, **more: str) -> dict[str, str]:
    return {
        **meta.settings(),
        "GREENLINE_DATABASE_URL": dsn,
        "GREENLINE_API_KEY": KEY,
        "GREENLINE_SECRET_KEY": "M" * 43 + "=",
        "GREENLINE_LOG_LEVEL": "error",
        "GREENLINE_UNKNOWN_OUTCOME_GRACE_SECONDS": "3",
        "GREENLINE_GRAPH_TIMEOUT_SECONDS": "2",
        "GREENLINE_DRAIN_SECONDS": "3",
        **more,
    }


@contextlib.asynccontextmanager
async def world(dsn: str, data_dir: Path, **settings: str) -> AsyncIterator[tuple[Emulator, ServeProcess]]:
    """The emulator, and a server with an agent that repeats what it hears."""
    async with (
        emulator(webhook_retry_schedule=RETRIES) as meta,
        serve_process(data_dir, environment=environment(meta, dsn, **settings)) as process,
    ):
        running = await process.ready()
        await meta.furnish(running.url, KEY, ECHO)
        yield meta, running


async def converse(meta: Emulator, person: Person, messages: int, seconds: float = 40.0, first: int = 1) -> list[str]:
    """A person writes, waits for the answer, and writes again; returns what reached them."""
    for number in range(first, messages + 1):
        await meta.say(person, f"message {number}")
        await meta.told(person, number, seconds)
    return await meta.answers(person)


def echoes(messages: int) -> list[str]:
    return [f"You said message {number}" for number in range(1, messages + 1)]


async def test_a_person_is_answered_and_the_official_sdk_sees_it(dsn: str, tmp_path: Path) -> None:
    import httpx
    from elevenlabs.client import AsyncElevenLabs

    async with world(dsn, tmp_path) as (meta, server):
        ann = await meta.person("Ann", "15550100001")
        await meta.say(ann, "Do you have oolong?")
        assert await meta.told(ann, 1) == ["You said Do you have oolong?"]
        async with httpx.AsyncClient(trust_env=False, timeout=30) as transport:
            sdk = AsyncElevenLabs(base_url=server.url, api_key=KEY, httpx_client=transport).conversational_ai
            listed = (await sdk.conversations.list()).conversations
            assert [item.conversation_initiation_source for item in listed] == ["whatsapp"]
            shown = await sdk.conversations.get(listed[0].conversation_id)
        assert [(turn.role, turn.message) for turn in shown.transcript] == [
            ("user", "Do you have oolong?"),
            ("agent", "You said Do you have oolong?"),
        ]
        assert shown.metadata.whatsapp is not None
        assert shown.metadata.whatsapp.whatsapp_user_id == ann.wa_id
        chat = await meta.chat(ann)
        assert chat[0]["read_by_business"] is True


async def crowd(meta: Emulator, people: Sequence[Person]) -> None:
    """All write at once; so few at a time that the emulator can tell of each while it takes in the next."""
    few = asyncio.Semaphore(8)

    async def write(person: Person) -> None:
        async with few:
            await meta.say(person, "message 1")

    await asyncio.gather(*map(write, people))


@pytest.mark.timeout(120)
async def test_neither_a_crowd_nor_a_chatterbox_provokes_a_refusal(dsn: str, tmp_path: Path) -> None:
    """Meta counts what comes in as well: 150 messages in a second leave no room for answers until it is over."""
    pace = {"pair_interval": 0.5, "pair_burst": 8}
    slow = {"GREENLINE_PAIR_INTERVAL_SECONDS": "0.5", "GREENLINE_PAIR_BURST": "4"}
    async with world(dsn, tmp_path, **slow) as (meta, _):
        await meta.call("PATCH", "/config", **pace)
        people = [await meta.person(f"Person {n}", f"1555020{n:04}") for n in range(150)]
        await crowd(meta, people)
        for person in people:
            assert await meta.told(person, 1, 60.0) == echoes(1)
        assert await converse(meta, people[0], 12, first=2) == echoes(12)
        calls = (await meta.call("GET", "/graph-calls"))["calls"]
        assert [call["error"] for call in calls if call["error"]] == []


@pytest.mark.timeout(180)
async def test_events_repeated_and_shuffled_to_two_servers_are_answered_once(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path / "one") as (meta, first):
        more = environment(meta, dsn)
        async with serve_process(tmp_path / "two", environment=more) as process:
            second = await process.ready()
            await meta.call("POST", "/faults", name="webhook_duplicate", copies=5)
            await meta.call("POST", "/faults", name="webhook_shuffle", seconds=0.3, seed=11)
            people = [await meta.person(f"Person {n}", f"1555030{n:04}") for n in range(6)]
            talks = [asyncio.create_task(converse(meta, person, 4)) for person in people]
            for turn in range(20):
                await meta.send_webhooks_to(f"{(first, second)[turn % 2].url}/webhooks/whatsapp")
                await asyncio.wait(talks, timeout=0.5)
            for said in await asyncio.gather(*talks):
                assert said == echoes(4)


FAULTS = {
    "throughput": {"name": "graph_error", "code": 130429, "http_status": 400, "times": 3},
    "pair": {"name": "graph_error", "code": 131056, "http_status": 400, "times": 2},
    "something went wrong": {"name": "graph_error", "code": 131000, "http_status": 500, "times": 2},
    "accepted, then cut": {"name": "reset_after_accept", "times": 3},
    "cut before": {"name": "reset_before_accept", "times": 2},
    "accepted, too late": {"name": "graph_timeout", "seconds": 4, "accepted": True, "times": 2},
    "late failure": {"name": "webhook_delay", "seconds": 0.5, "times": 10},
    "answer lost": {"name": "webhook_drop", "times": 5},
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_person_gets_each_reply_once(fault: str, dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, _):
        people = [await meta.person(f"Person {n}", f"1555040{n:04}") for n in range(3)]
        options = dict(FAULTS[fault])
        if str(options["name"]).startswith(("graph", "reset")):
            options["match"] = {"edge": "messages"}
        await meta.call("POST", "/faults", **options)
        for said in await asyncio.gather(*(converse(meta, person, 3) for person in people)):
            assert said == echoes(3)
        counts = (await meta.call("GET", "/deliveries"))["counts"]
        assert set(counts.values()) == {1}


async def test_a_forged_webhook_is_refused_and_a_true_one_taken(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, _):
        envelope = {"object": "whatsapp_business_account", "entry": []}
        true = await meta.call("POST", "/webhooks/raw", envelope=envelope)
        forged = await meta.call("POST", "/webhooks/raw", envelope=envelope, signature="sha256=" + "0" * 64)
        unsigned = await meta.call("POST", "/webhooks/raw", envelope=envelope, signature="")
        assert [answer["status"] for answer in (true, forged, unsigned)] == [200, 403, 403]


async def test_a_batch_of_a_thousand_with_one_poisoned_item(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, _):
        messages: list[object] = [
            {
                "from": f"1555050{n:04}",
                "id": f"wamid.BATCH{n}",
                "timestamp": "1790000000",
                "type": "reaction",
                "reaction": {"message_id": "wamid.X"},
            }
            for n in range(1000)
        ]
        messages[500] = "poison"
        metadata = {"phone_number_id": meta.number, "display_phone_number": "15550001111"}
        value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": messages}
        entry = {"id": meta.business["waba_id"], "changes": [{"field": "messages", "value": value}]}
        answer = await meta.call(
            "POST", "/webhooks/raw", envelope={"object": "whatsapp_business_account", "entry": [entry]}
        )
        assert answer["status"] == 200


async def test_sigterm_finishes_what_runs(dsn: str, tmp_path: Path) -> None:
    import signal

    async with world(dsn, tmp_path) as (meta, server):
        ann = await meta.person("Ann", "15550100001")
        await meta.say(ann, "message 1")
        await meta.told(ann, 1)
        server.kill(signal.SIGTERM)
        assert await server.ended(10) == 0
