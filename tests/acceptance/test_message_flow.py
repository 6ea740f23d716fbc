"""Messages over Meta's wire, from the person's phone and back, with every kind of fault between."""

import asyncio
import base64
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from greenline.store.pool import Pool
from support.http import http_client
from support.meta import Emulator, Person, emulator
from support.scripted import Answer, Request, scripted
from support.server import ServeProcess, serve_process
from support.wait import PATIENCE_SECONDS, until

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


async def converse(
    meta: Emulator, person: Person, messages: int, seconds: float = PATIENCE_SECONDS, first: int = 1
) -> list[str]:
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
            listed = (await sdk.conversations.list(main_languages=["en"])).conversations
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
    few = asyncio.Semaphore(3)

    async def write(person: Person) -> None:
        async with few:
            await meta.say(person, "message 1")

    await asyncio.gather(*map(write, people))


async def test_a_file_reaches_the_agent_whatever_its_name(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, server):
        ann = await meta.person("Ann", "15550100001")
        pdf = b"%PDF-1.4\n"
        file = {"data_base64": base64.b64encode(pdf).decode(), "mime_type": "application/pdf", "filename": "Łódź.pdf"}
        acts = f"/people/{ann.person_id}/messages"
        await meta.call("POST", acts, phone_number_id=meta.number, type="document", file=file)
        await meta.told(ann, 1)
        headers = {"xi-api-key": KEY}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as api:
            [row] = (await api.get("/v1/convai/conversations")).json()["conversations"]
            shown = (await api.get(f"/v1/convai/conversations/{row['conversation_id']}")).json()
            [sent] = shown["transcript"][0]["file_inputs"]
            kept = await api.get(sent["file_url"])
        assert (sent["original_filename"], sent["mime_type"], kept.content) == ("Łódź.pdf", "application/pdf", pdf)


async def test_neither_a_crowd_nor_a_chatterbox_provokes_a_refusal(dsn: str, tmp_path: Path) -> None:
    """Meta counts what comes in as well: 150 messages in a second leave no room for answers until it is over."""
    pace = {"pair_interval": 0.5, "pair_burst": 8}
    slow = {"GREENLINE_PAIR_INTERVAL_SECONDS": "0.5", "GREENLINE_PAIR_BURST": "4"}
    async with world(dsn, tmp_path, **slow) as (meta, _):
        await meta.call("PATCH", "/config", **pace)
        people = [await meta.person(f"Person {n}", f"1555020{n:04}") for n in range(150)]
        await crowd(meta, people)
        for person in people:
            assert await meta.told(person, 1) == echoes(1)
        assert await converse(meta, people[0], 12, first=2) == echoes(12)
        calls = (await meta.call("GET", "/graph-calls"))["calls"]
        assert [call["error"] for call in calls if call["error"]] == []


NEWS = {
    "name": "news",
    "language": "en",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "The new plants are here."}],
}


async def test_a_campaign_over_a_slow_network_is_not_refused(dsn: str, tmp_path: Path) -> None:
    """What left in one second arrives in the next, together with what leaves then; and answers come late."""
    rate = {"GREENLINE_THROUGHPUT_PER_SECOND": "10"}
    async with world(dsn, tmp_path, **rate) as (meta, server), http_client(server.url, KEY) as api:
        await meta.call("PATCH", "/config", throughput_per_second=10)
        made = await meta.graph("POST", f"{meta.business['waba_id']}/message_templates", NEWS)
        await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
        people = [await meta.person(f"Person {n}", f"1555022{n:04}") for n in range(40)]
        [agent] = (await api.get("/v1/convai/agents")).json()["agents"]
        match = {"sends": "template"}
        await meta.call("POST", "/faults", name="slow", seconds=1.0, times=8, match=match)
        late = {"seconds": 0.8, "accepted": True, "probability": 0.2}
        await meta.call("POST", "/faults", name="graph_timeout", **late, match=match)
        few = asyncio.Semaphore(8)

        async def write(person: Person) -> None:
            body = {
                "whatsapp_phone_number_id": meta.number,
                "whatsapp_user_id": person.wa_id,
                "template_name": NEWS["name"],
                "template_language_code": NEWS["language"],
                "template_params": [],
                "agent_id": agent["agent_id"],
            }
            async with few:
                (await api.post("/v1/convai/whatsapp/outbound-message", json=body)).raise_for_status()

        await asyncio.gather(*map(write, people))

        async def all_taken() -> bool:
            counts = (await meta.call("GET", "/deliveries"))["counts"]
            return len(counts) == len(people)

        await until(all_taken)
        calls = (await meta.call("GET", "/graph-calls"))["calls"]
        assert [call["error"] for call in calls if call["error"]] == []
        assert {fault for call in calls for fault in call["faults"]} == {"slow", "graph_timeout"}


async def test_a_number_that_the_business_app_uses_too_is_not_overrun(dsn: str, tmp_path: Path) -> None:
    """Meta takes 20 messages a second of it, in and out: 40 people write as fast as the server hears of them.

    Of such a rate one message is left free for what nobody could foresee.
    """
    async with world(dsn, tmp_path) as (first, server):
        meta = await first.another_number(coexistence=True)
        await meta.furnish(server.url, KEY, ECHO, account_type="coexistence")
        people = [await meta.person(f"Person {n}", f"1555021{n:04}") for n in range(40)]

        async def has_told() -> bool:
            return bool((await meta.call("GET", "/state"))["pending_webhooks"] == 0)

        for person in people:
            await meta.say(person, "message 1")
            await until(has_told, every=0.0)
        for person in people:
            assert await meta.told(person, 1) == echoes(1)
        calls = (await meta.call("GET", "/graph-calls"))["calls"]
        assert [call["error"] for call in calls if call["error"]] == []


@dataclass
class Relay:
    """Between Meta and two servers: each body goes out 1 to 6 times, shuffled, to either server, both at once."""

    dice: random.Random
    http: httpx2.AsyncClient
    servers: tuple[str, ...] = ()
    copies: Counter[str] = field(default_factory=Counter)
    """How many each server got."""
    refused: int = 0
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def __call__(self, request: Request) -> Answer:
        query = parse_qs(urlsplit(request.target).query)
        if "hub.challenge" in query:
            return Answer(200, query["hub.challenge"][0].encode())
        for _ in range(self.dice.randint(1, 6)):
            task = asyncio.create_task(self._send(request, self.dice.choice(self.servers), self.dice.random() * 0.4))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return Answer()

    async def _send(self, request: Request, server: str, hold: float) -> None:
        await asyncio.sleep(hold)
        names = ("content-type", "x-hub-signature-256")
        headers = {name: request.headers[name] for name in names}
        answer = await self.http.post(f"{server}/webhooks/whatsapp", content=request.body, headers=headers)
        self.copies[server] += 1
        self.refused += answer.status_code != 200

    async def done(self) -> None:
        """Wait for what is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))


async def test_events_repeated_and_shuffled_to_two_servers_are_answered_once(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    async with (  # the relay ends after the emulator: it waits until that has closed its connections
        httpx2.AsyncClient(trust_env=False, timeout=30) as http,
        scripted(relay := Relay(random.Random(11), http)) as between,
        world(dsn, tmp_path / "one") as (meta, first),
        serve_process(tmp_path / "two", environment=environment(meta, dsn)) as process,
    ):
        relay.servers = (first.url, (await process.ready()).url)
        await meta.send_webhooks_to(between.url)
        await meta.call("POST", "/faults", name="webhook_drop", times=5)
        people = [await meta.person(f"Person {n}", f"1555030{n:04}") for n in range(6)]
        for said in await asyncio.gather(*(converse(meta, person, 4) for person in people)):
            assert said == echoes(4)
        await relay.done()
        assert min(relay.copies[url] for url in relay.servers) >= 24
        assert relay.refused == 0
        for person in people:
            assert await meta.answers(person) == echoes(4)
        rows = await pool.fetch("select kind, data from conversation_event order by conversation_id, seq")
        heard = [row["data"]["wamid"] for row in rows if row["kind"] == "user_message"]
        written = [row["data"]["text"] for row in rows if row["kind"] == "agent_message"]
        assert len(heard) == len(set(heard)) == 24
        assert sorted(written) == sorted(echoes(4) * 6)  # one turn each: what is merged is answered together


FAULTS: dict[str, dict[str, Any]] = {
    "HTTP 429": {"name": "graph_error", "code": 613, "http_status": 429, "times": 3},
    "throughput": {"name": "graph_error", "code": 130429, "http_status": 400, "times": 3},
    "pair": {"name": "graph_error", "code": 131056, "http_status": 400, "times": 2},
    "something went wrong": {"name": "graph_error", "code": 131000, "http_status": 500, "times": 2},
    "accepted, then cut": {"name": "reset_after_accept", "times": 3},
    "cut before": {"name": "reset_before_accept", "times": 2},
    "accepted, too late": {"name": "graph_timeout", "seconds": 4, "accepted": True, "times": 2},
    "never answered": {"name": "graph_timeout", "seconds": 4, "accepted": False, "times": 2},
}


async def faulty(meta: Emulator, number: int, fault: dict[str, Any]) -> None:
    """Three people talk on a number of which the sending of texts has ``fault``: each gets each reply once."""
    match = {"phone_number_id": meta.number, "sends": "text"}
    await meta.call("POST", "/faults", **fault, match=match)
    people = [await meta.person(f"Person {n}", f"15550{number}04{n:04}") for n in range(3)]
    for said in await asyncio.gather(*(converse(meta, person, 3, 90.0) for person in people)):
        assert said == echoes(3)
    calls = (await meta.call("GET", "/graph-calls"))["calls"]
    hit = [call["sends"] for call in calls if call["faults"] == [fault["name"]] and meta.number in call["path"]]
    assert hit == ["text"] * fault["times"]
    counts = (await meta.call("GET", f"/deliveries?phone_number_id={meta.number}"))["counts"]
    assert len(counts) == 9
    assert set(counts.values()) == {1}


async def test_each_person_gets_each_reply_once(dsn: str, tmp_path: Path) -> None:
    """Under each fault of Meta, on a number of its own, all at the same time."""
    hasty = {"GREENLINE_GRAPH_TIMEOUT_SECONDS": "2", "GREENLINE_UNKNOWN_OUTCOME_GRACE_SECONDS": "6"}
    async with world(dsn, tmp_path, **hasty) as (meta, server):
        numbers = [await meta.another_number() for _ in FAULTS]
        for number in numbers:
            await number.furnish(server.url, KEY, ECHO)
        cases = zip(numbers, range(len(FAULTS)), FAULTS.values(), strict=True)
        await asyncio.gather(*(faulty(*case) for case in cases))


async def test_what_meta_drops_late_for_its_rate_is_sent_again_and_arrives_once(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, _):
        people = [await meta.person(f"Person {n}", f"1555060{n:04}") for n in range(3)]
        match = {"phone_number_id": meta.number}
        fault = await meta.call("POST", "/faults", name="late_failed", code=130429, times=2, match=match)
        for said in await asyncio.gather(*(converse(meta, person, 3) for person in people)):
            assert said == echoes(3)
        assert await acted(meta, fault) == 2
        assert set((await meta.call("GET", "/deliveries"))["counts"].values()) == {1}


async def acted(meta: Emulator, fault: dict[str, Any]) -> int:
    """How often a fault has acted."""
    shown = (await meta.call("GET", "/faults"))["faults"]
    return int(next(each["acted"] for each in shown if each["id"] == fault["id"]))


async def test_a_late_failure_is_seen_and_neither_repeated_nor_in_the_way(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, server):
        ann = await meta.person("Ann", "15550100001")
        match = {"phone_number_id": meta.number, "person_id": ann.person_id}
        fault = await meta.call("POST", "/faults", name="late_failed", code=131026, times=1, match=match)
        await meta.say(ann, "message 1")

        async def failed() -> bool:
            return await acted(meta, fault) == 1

        await until(failed)
        for number in (2, 3):
            await meta.say(ann, f"message {number}")
            await meta.told(ann, number - 1)
        assert await meta.answers(ann) == echoes(3)[1:]
        async with http_client(server.url, KEY) as api:
            [listed] = (await api.get("/v1/convai/conversations")).json()["conversations"]

            async def settled() -> Any:
                shown = (await api.get(f"/v1/convai/conversations/{listed['conversation_id']}")).json()
                states = [turn["delivery"]["state"] for turn in shown["transcript"] if turn["role"] == "agent"]
                return shown if states == ["failed", "delivered", "delivered"] else None

            assert "131026" in (await until(settled))["metadata"]["warnings"][0]


async def test_a_forged_webhook_is_refused_and_a_true_one_taken(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, _):
        envelope = {"object": "whatsapp_business_account", "entry": []}
        true = await meta.call("POST", "/webhooks/raw", envelope=envelope)
        forged = await meta.call("POST", "/webhooks/raw", envelope=envelope, signature="sha256=" + "0" * 64)
        unsigned = await meta.call("POST", "/webhooks/raw", envelope=envelope, signature="")
        assert [answer["status"] for answer in (true, forged, unsigned)] == [200, 403, 403]


async def test_of_a_batch_all_but_the_poisoned_item_is_handled(dsn: str, pool: Pool, tmp_path: Path) -> None:
    """Batches of 1 to 1,000 items; every 50th is a text of somebody, who is answered."""
    async with world(dsn, tmp_path) as (meta, _):
        await meta.call("PATCH", "/config", enforce_window=False)  # what is posted raw opens none at the emulator
        people: list[Person] = []
        for size in (1, 2, 100, 1000):
            texts = {
                place: await meta.person(f"P {place}", f"1556{size:04}{place:04}") for place in range(10, size, 50)
            }
            people += texts.values()
            messages = [
                item(f"wamid.{size}.{place}", f"1555{size:04}{place:04}", texts.get(place)) for place in range(size)
            ]
            messages[size // 2] = f"poison {size}"
            answer = await meta.call("POST", "/webhooks/raw", envelope=envelope(meta, messages))
            assert answer["status"] == 200

        async def all_done() -> bool:
            return not await pool.fetchval(
                "select exists (select from inbox where kind = 'message' and done_at is null)"
            )

        await until(all_done, seconds=90)
        handled = "select count(*) from inbox where kind = 'message' and starts_with(payload #>> '{message,id}', $1)"
        assert [await pool.fetchval(handled, f"wamid.{size}.") for size in (1, 2, 100, 1000)] == [0, 1, 99, 999]
        bodies = [json.loads(row["body"]) for row in await pool.fetch("select body from quarantine order by id")]
        assert bodies == [f"poison {size}" for size in (1, 2, 100, 1000)]
        for person in people:
            assert await meta.told(person, 1) == ["You said Hello"]


def item(wamid: str, wa_id: str, person: Person | None) -> object:
    """A message of a batch: a text of ``person``, or somebody's reaction."""
    said: dict[str, object] = {"type": "reaction", "reaction": {"message_id": "wamid.X"}}
    if person is not None:
        said = {"type": "text", "text": {"body": "Hello"}}
    now = str(int(time.time()))
    return {"from": person.wa_id if person else wa_id, "id": wamid, "timestamp": now, **said}


def envelope(meta: Emulator, messages: list[object]) -> dict[str, object]:
    metadata = {"phone_number_id": meta.number, "display_phone_number": "15550001111"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": messages}
    entry = {"id": meta.business["waba_id"], "changes": [{"field": "messages", "value": value}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


async def test_sigterm_finishes_what_runs(dsn: str, tmp_path: Path) -> None:
    import signal

    async with world(dsn, tmp_path) as (meta, server):
        ann = await meta.person("Ann", "15550100001")
        await meta.say(ann, "message 1")
        await meta.told(ann, 1)
        server.kill(signal.SIGTERM)
        assert await server.ended() == 0
