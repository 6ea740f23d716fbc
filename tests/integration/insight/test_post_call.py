"""Whom a client named is told of its conversation: signed, again where that may help, and of its sound once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import structlog

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition
from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import AgentMessage, Ended
from greenline.conversations.recordings import keep_recording, object_key
from greenline.conversations.retention import Retention
from greenline.insight import post_call
from greenline.insight.post_call import (
    AT_ONCE,
    ATTEMPTS,
    EXCHANGE_SECONDS,
    LOOK_SECONDS,
    MESSAGES,
    POST_SECONDS,
    RECORDING_PATIENCE,
    UNHELD,
    Kind,
    PostCallWebhook,
    PostCallWebhooks,
    keep_webhooks,
)
from greenline.settings import Settings
from greenline.store.objects import FolderObjects, Objects, open_objects
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from support.bucket import bucket
from support.journal import Timed, projection, started, write
from support.rows import WORKSPACE, insert_workspace
from support.scripted import Answer, Request, ScriptedServer, scripted
from support.wait import PATIENCE_SECONDS, until

SECRET = "sixteen-characters-and-more"


@dataclass
class Place:
    """A database with a loop that tells of its conversations to a receiver."""

    pool: Pool
    clock: ManualClock
    settings: Settings
    receiver: ScriptedServer
    answers: list[Answer] = field(default_factory=list)
    """Instead of 200, one after the other."""

    def __post_init__(self) -> None:
        self.vault = Vault(b"k" * 32)
        self.objects: Objects = FolderObjects(self.settings.data_dir)
        self.loop = PostCallWebhooks(self.pool, self.vault, self.objects, self.clock, self.settings)

    @property
    def told(self) -> list[Request]:
        """What the receiver was sent."""
        return self.receiver.requests

    async def wants(self, conversation_id: str, kind: Kind = "transcription", *, url: str = "", **more: Any) -> None:
        """Somebody is to be told of a conversation that will begin."""
        webhook = PostCallWebhook(kind, url or f"{self.receiver.url}/{kind}", **more)
        await keep_webhooks(self.pool, self.vault, self.clock, WORKSPACE, conversation_id, [webhook])

    async def converse(
        self, conversation_id: str, *, text_only: bool = True, agent_id: str = "agent_1", **columns: Any
    ) -> None:
        """A conversation from its beginning to its end."""
        row = projection(
            conversation_id,
            agent_id=agent_id,
            workspace_id=WORKSPACE,
            text_only=text_only,
            started_at=self.clock.now(),
            chat_id=None,
        )
        events: list[Timed] = [(0, started(row)), (1, AgentMessage(id="a", text="Hello!")), (2, Ended(reason="Bye"))]
        await write(self.pool, row, events, **columns)

    async def record(self, conversation_id: str, mp3: bytes) -> None:
        """Its sound comes to be kept."""
        about: dict[str, Any] = {"seconds": 1.0, "has_user": True, "has_agent": True, "now": self.clock.now()}
        assert await keep_recording(self.pool, self.objects, WORKSPACE, conversation_id, mp3, **about)

    async def count(self) -> int:
        """How many are still to be told."""
        return int(await self.pool.fetchval("select count(*) from post_call_webhook"))

    async def passing(self, requests: int, *, waiting: int = 0, hanging: int = 0, step: float = LOOK_SECONDS) -> None:
        """Let time pass until so many requests have come, and so many are still to be told.

        None passes while more than ``hanging`` are on their way: those would be told again, as if a process had died.
        """

        async def come() -> bool:
            if len(self.loop._on_their_way) <= hanging and self.clock.next_due is not None:
                self.clock.advance(timedelta(seconds=step))
            return len(self.told) >= requests and await self.count() == waiting

        await until(come)
        assert len(self.told) == requests


@pytest.fixture
async def place(pool: Pool, clock: ManualClock, settings: Settings) -> AsyncIterator[Place]:
    await insert_workspace(pool, clock.now())
    answers: list[Answer] = []
    async with scripted(lambda request: answers.pop(0) if answers else Answer(200)) as receiver:
        place = Place(pool, clock, settings, receiver, answers)
        place.loop.start()
        yield place
        await place.loop.stop(0.0)


@contextlib.contextmanager
def counted(**outcomes: int) -> Iterator[None]:
    """What happens in the block to transcriptions is counted so often."""
    before = {outcome: MESSAGES.labels("transcription", outcome)._value.get() for outcome in outcomes}
    yield
    now = {outcome: MESSAGES.labels("transcription", outcome)._value.get() for outcome in outcomes}
    assert {outcome: now[outcome] - before[outcome] for outcome in outcomes} == outcomes


def checked(request: Request) -> Any:
    """What was told, if its signature is right (reference: Delivery)."""
    stamp, digest = request.headers["elevenlabs-signature"].split(",")
    signed = stamp.removeprefix("t=").encode() + b"." + request.body
    assert digest == f"v0={hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}"
    return request.json


async def test_a_conversation_is_told_once_and_signed_when_it_is_over(place: Place) -> None:
    await place.wants("conv_1", secret=SECRET)
    await place.wants("conv_2")
    await place.converse("conv_2", status="in-progress")
    with counted(sent=1):
        await place.converse("conv_1")
        await place.passing(1, waiting=1)
    (request,) = place.told
    event = checked(request)
    assert event["type"] == "post_call_transcription"
    assert "content-length" in request.headers, "simple receivers read nothing of a body in chunks"
    assert event["event_timestamp"] <= place.clock.now().timestamp()
    assert (event["data"]["conversation_id"], event["data"]["status"]) == ("conv_1", "done")
    assert [turn["message"] for turn in event["data"]["transcript"]] == ["Hello!"]
    assert place.loop.state() == {"post_call": True}


async def test_a_secret_is_stored_sealed_and_shown_nowhere(place: Place) -> None:
    await place.wants("conv_1", secret=SECRET)
    assert SECRET.encode() not in await place.pool.fetchval("select secret from post_call_webhook")
    assert SECRET not in repr(PostCallWebhook("audio", "https://a.example", SECRET))


@pytest.mark.parametrize("away", [Answer(503), Answer(429), Answer(408), Answer(cut=True)])
async def test_a_receiver_that_is_away_is_told_again(place: Place, away: Answer) -> None:
    place.answers += [away, away]
    await place.wants("conv_1")
    with counted(sent=1, postponed=2, lost=0):
        await place.converse("conv_1")
        await place.passing(3)


async def test_a_receiver_that_stays_away_is_given_up_with_a_word(place: Place) -> None:
    place.answers += [Answer(500)] * ATTEMPTS
    await place.wants("conv_1")
    with structlog.testing.capture_logs() as logs, counted(lost=1, postponed=ATTEMPTS - 1):
        await place.converse("conv_1")
        await place.passing(ATTEMPTS, step=60.0)
    (lost,) = [line for line in logs if line["event"] == "post_call.lost"]
    assert (lost["conversation_id"], lost["kind"], lost["reason"]) == ("conv_1", "transcription", "HTTP 500")


async def test_a_receiver_that_took_it_is_told_once_whatever_else_it_says(place: Place) -> None:
    place.answers += [Answer(200, b"x" * 20_000_000)]
    await place.wants("conv_1")
    with counted(sent=1, postponed=0, lost=0):
        await place.converse("conv_1")
        await place.passing(1)


@pytest.mark.parametrize("answer", [Answer(307, headers={"location": "/elsewhere"}), Answer(204, b""), Answer(404)])
async def test_an_answer_that_is_final_is_followed_by_nothing(place: Place, answer: Answer) -> None:
    place.answers += [answer]
    await place.wants("conv_1")
    await place.converse("conv_1")
    await place.passing(1)


async def test_receivers_that_are_slow_hold_up_nobody_else(place: Place) -> None:
    slow = AT_ONCE - 1
    place.answers += [Answer(hang=True)] * slow
    for number in range(slow):
        await place.wants(f"conv_slow_{number}")
        await place.converse(f"conv_slow_{number}")
    await place.passing(slow, waiting=slow, hanging=slow)
    for number in range(3):
        await place.wants(f"conv_{number}")
        await place.converse(f"conv_{number}")
    async with asyncio.timeout(POST_SECONDS / 2):
        await place.passing(slow + 3, waiting=slow, hanging=slow, step=0.1)
    told = {request.json["data"]["conversation_id"] for request in place.told[slow:]}
    assert told == {"conv_0", "conv_1", "conv_2"}


async def test_more_than_can_be_told_at_once_wait_for_those_before_them(place: Place) -> None:
    for number in range(2 * AT_ONCE + 1):
        await place.wants(f"conv_{number}")
        await place.converse(f"conv_{number}")
    await place.passing(2 * AT_ONCE + 1)


async def test_two_processes_tell_each_conversation_once(place: Place) -> None:
    other = PostCallWebhooks(place.pool, place.vault, place.objects, place.clock, place.settings)
    other.start()
    for number in range(20):
        await place.wants(f"conv_{number}")
        await place.converse(f"conv_{number}")
    await place.passing(20)
    await other.stop(0.0)
    assert len({request.json["data"]["conversation_id"] for request in place.told}) == 20


async def test_what_is_on_its_way_may_arrive_before_the_server_leaves(place: Place) -> None:
    stopping: list[asyncio.Task[None]] = []

    def leave(request: Request) -> Answer:
        stopping.append(asyncio.create_task(place.loop.stop(PATIENCE_SECONDS)))
        return Answer(200)

    place.receiver.script = leave
    await place.wants("conv_1", "audio")
    await place.converse("conv_1", status="in-progress")
    await place.record("conv_1", b"sound")
    await place.pool.execute("update conversation set status = 'done'")
    await place.passing(1)
    await asyncio.gather(*stopping)


async def test_a_secret_that_can_not_be_read_is_told_of_and_waited_for(place: Place) -> None:
    await place.wants("conv_1", secret=SECRET)
    right, place.loop._vault = place.loop._vault, Vault(b"x" * 32)
    with structlog.testing.capture_logs() as logs, counted(postponed=1, lost=0):
        await place.converse("conv_1")

        async def postponed() -> bool:
            place.clock.advance(timedelta(seconds=LOOK_SECONDS))
            return any(line["event"] == "post_call.postponed" for line in logs)

        await until(postponed)
    assert "GREENLINE_SECRET_KEY" in str(logs)
    assert SECRET not in str(logs)
    place.loop._vault = right
    await place.passing(1)
    assert checked(place.told[0])["data"]["conversation_id"] == "conv_1"


async def test_what_is_not_kept_is_told_before_it_goes(place: Place) -> None:
    definition = AgentDefinition.model_validate({"platform_settings": {"privacy": {"zero_retention_mode": True}}})
    agent_id = await agents.create(place.pool, place.clock, WORKSPACE, definition)
    retention = Retention(place.pool, place.clock, place.objects)
    await place.wants("conv_1")
    await place.converse("conv_1", agent_id=agent_id, status="processing")
    await place.pool.execute("update conversation set status = 'done'")
    assert await retention.enforce() == 0
    await place.passing(1)
    assert [turn["message"] for turn in place.told[0].json["data"]["transcript"]] == ["Hello!"]
    assert await retention.enforce() == 1


async def test_what_is_refused_for_good_is_not_repeated(place: Place) -> None:
    place.answers += [Answer(400)]
    await place.wants("conv_1")
    with counted(lost=1, postponed=0):
        await place.converse("conv_1")
        await place.passing(1)


async def test_nothing_goes_to_an_inner_address(pool: Pool, clock: ManualClock, settings: Settings) -> None:
    await insert_workspace(pool, clock.now())
    async with scripted(lambda request: Answer(200)) as receiver:
        place = Place(pool, clock, settings.model_copy(update={"outbound_allow": ()}), receiver)
        place.loop.start()
        await place.wants("conv_1")
        with structlog.testing.capture_logs() as logs, counted(lost=1):
            await place.converse("conv_1")
            await place.passing(0)
        await place.loop.stop(0.0)
    assert "GREENLINE_OUTBOUND_ALLOW" in str(logs)


async def test_the_sound_is_waited_for_and_sent_once(place: Place) -> None:
    place.answers += [Answer(503)]
    await place.wants("conv_1", "audio", secret=SECRET)
    await place.pool.execute(
        "insert into agent(id, workspace_id, name, shared, main_branch_id, created_at, updated_at)"
        " values ('agent_1', $1, 'Tea', '{\"privacy\": {\"record_voice\": true}}', 'agtbrch_1', $2, $2)",
        WORKSPACE,
        place.clock.now(),
    )
    await place.converse("conv_1", text_only=False)
    for _ in range(3):
        place.clock.advance(timedelta(seconds=LOOK_SECONDS))
        assert await place.count() == 1
    mp3 = bytes(range(256)) * 1000
    await place.record("conv_1", mp3)
    await place.passing(1)
    (request,) = place.told
    assert request.headers["transfer-encoding"] == "chunked"
    event = checked(request)
    assert event["type"] == "post_call_audio"
    assert base64.b64decode(event["data"]["full_audio"], validate=True) == mp3


@pytest.mark.parametrize("secret", [None, SECRET])
async def test_sound_that_the_storage_keeps_back_is_sent_when_it_gives_it(place: Place, secret: str | None) -> None:
    """Without a secret the message has begun by then; its receiver never gets the end of it."""
    mp3 = bytes(range(256)) * 3000
    await place.wants("conv_1", "audio", secret=secret)
    await place.converse("conv_1", status="in-progress")
    await place.record("conv_1", mp3)
    stored = place.settings.data_dir / object_key(WORKSPACE, "conv_1")
    stored.write_bytes(mp3[:-1])
    await place.pool.execute("update conversation set status = 'done'")

    async def postponed() -> bool:
        place.clock.advance(timedelta(seconds=LOOK_SECONDS))
        return len([line for line in logs if line["event"] == "post_call.postponed"]) >= 2

    with structlog.testing.capture_logs() as logs:
        await until(postponed)
        stored.write_bytes(mp3)
        await place.passing(1)
    assert base64.b64decode(place.told[0].json["data"]["full_audio"], validate=True) == mp3


@pytest.mark.parametrize("secret", [None, SECRET])
async def test_sound_of_a_storage_that_says_nothing_is_sent_when_it_answers(
    place: Place, monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    """What is taken for a receiver that is slow is lost: sound is sent once."""
    assert post_call.STORAGE_SECONDS < EXCHANGE_SECONDS
    await place.loop.stop(0.0)
    async with bucket() as storage:
        place.objects = open_objects(place.settings.model_copy(update={"recordings_url": "s3://sounds"}))
        place.loop = PostCallWebhooks(place.pool, place.vault, place.objects, place.clock, place.settings)
        mp3 = bytes(range(256)) * 3000
        await place.wants("conv_1", "audio", secret=secret)
        await place.converse("conv_1", status="in-progress")
        await place.record("conv_1", mp3)
        await place.pool.execute("update conversation set status = 'done'")
        storage.answers.clear()

        async def postponed() -> bool:
            place.clock.advance(timedelta(seconds=LOOK_SECONDS))
            return any(line["event"] == "post_call.postponed" for line in logs)

        with structlog.testing.capture_logs() as logs, monkeypatch.context() as patch:
            patch.setattr(post_call, "STORAGE_SECONDS", 0.2)
            place.loop.start()
            await until(postponed)
        storage.answers.set()
        await place.passing(1)
        await place.loop.stop(0.0)
    assert base64.b64decode(place.told[0].json["data"]["full_audio"], validate=True) == mp3


@pytest.mark.parametrize(("is_there", "days"), [(True, 1), (False, 0)])
async def test_sound_that_the_storage_never_gives_is_given_up_with_a_word(
    place: Place, is_there: bool, days: int
) -> None:
    await place.wants("conv_1", "audio", secret=SECRET)
    await place.converse("conv_1", status="in-progress")
    await place.record("conv_1", b"sound")
    stored = place.settings.data_dir / object_key(WORKSPACE, "conv_1")
    stored.write_bytes(b"soun") if is_there else stored.unlink()
    place.clock.advance(timedelta(days=days, minutes=1))
    with structlog.testing.capture_logs() as logs:
        await place.pool.execute("update conversation set status = 'done'")
        await place.passing(0)
    (lost,) = [line for line in logs if line["event"] == "post_call.lost"]
    assert ("is shorter" if is_there else "is not in the storage any more") in lost["reason"]


async def test_a_conversation_without_sound_is_told_without_it(place: Place) -> None:
    await place.wants("conv_1", "audio")
    await place.wants("conv_1")
    await place.converse("conv_1", text_only=False)
    place.clock.advance(RECORDING_PATIENCE)
    await place.passing(1)
    assert place.told[0].json["data"]["has_audio"] is False


async def test_a_conversation_that_nobody_served_waits_for_no_sound(place: Place) -> None:
    definition = AgentDefinition.model_validate({"platform_settings": {"privacy": {"record_voice": True}}})
    agent_id = await agents.create(place.pool, place.clock, WORKSPACE, definition)
    await place.wants("conv_1")
    await place.converse("conv_1", text_only=False, agent_id=agent_id, status="failed", accepted_at=None)
    await place.passing(1)
    assert place.told[0].json["data"]["status"] == "failed"


async def test_what_a_process_died_on_is_told_by_the_next_but_sound_is_not(place: Place) -> None:
    place.answers += [Answer(hang=True), Answer(hang=True)]
    await place.wants("conv_1")
    await place.wants("conv_1", "audio")
    await place.converse("conv_1", status="in-progress")
    await place.record("conv_1", b"sound")
    await place.pool.execute("update conversation set status = 'done'")
    await place.passing(2, waiting=2)
    await place.loop.stop(0.0)
    place.loop = PostCallWebhooks(place.pool, place.vault, place.objects, place.clock, place.settings)
    place.loop.start()
    place.clock.advance(timedelta(seconds=2 * EXCHANGE_SECONDS))
    await place.passing(3)
    assert place.told[2].target == "/transcription"


async def test_of_a_deleted_conversation_nobody_is_told(place: Place) -> None:
    await place.wants("conv_1")
    await place.converse("conv_1", status="in-progress")
    await service.delete(place.pool, place.clock, place.objects, WORKSPACE, "conv_1")
    place.clock.advance(UNHELD)
    await place.passing(0)
