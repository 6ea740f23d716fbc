"""What people send besides words, on its way to the model."""

import hashlib
import hmac
import json
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from greenline.channels.whatsapp import files as whatsapp_files
from greenline.channels.whatsapp.webhook import Webhook, WebhookTooLarge
from greenline.clock import ManualClock
from greenline.conversations.events import UserMessage
from greenline.engine import files as engine_files
from greenline.llm.models import FilePart, ModelRequest, TextPart
from greenline.settings import Settings
from greenline.store.objects import open_objects
from greenline.store.pool import Pool
from support.bucket import bucket
from support.channel import Channel, running_channel
from support.rows import NUMBER

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def channel(channel: Channel) -> Channel:
    channel.meta.media = {"m1": PNG, "m2": b"%PDF-1.7", "m3": PNG + b"3"}
    return channel


async def sends(channel: Channel, kind: str, media_id: str, mime_type: str, **more: Any) -> ModelRequest:
    """What the model is asked when a person sends a file."""
    content: dict[str, Any] = {kind: {"id": media_id, "mime_type": mime_type, **more}}
    await channel.hear(None, type=kind, **content)
    await channel.quiet()
    return channel.model.requests[-1]


def files_of(request: ModelRequest) -> list[tuple[str, str, bytes]]:
    parts = (part for message in request.messages for part in message.parts)
    return [(part.mime_type, part.filename, part.data) for part in parts if isinstance(part, FilePart)]


async def test_an_image_and_a_document_reach_the_model(channel: Channel) -> None:
    request = await sends(channel, "image", "m1", "image/png", caption="Do you have this?")
    assert files_of(request) == [("image/png", "image.png", PNG)]
    assert request.messages[-1].text == "[Image]\nDo you have this?"
    request = await sends(channel, "document", "m2", "application/pdf", filename="bill.pdf")
    # the earlier one is recalled, so that the person can still speak of it
    assert files_of(request) == [("image/png", "image.png", PNG), ("application/pdf", "bill.pdf", b"%PDF-1.7")]
    [conversation] = await channel.conversations()
    heard = [event for event in await channel.journal(conversation["id"]) if isinstance(event, UserMessage)]
    assert [(event.medium, len(event.file_ids)) for event in heard] == [("image", 1), ("file", 1)]
    rows = await channel.pool.fetch("select filename, size_bytes from conversation_file order by filename")
    assert [tuple(row) for row in rows] == [("bill.pdf", 8), ("image.png", 8)]


async def test_a_file_that_is_gone_is_named(channel: Channel) -> None:
    request = await sends(channel, "image", "gone", "image/png")
    assert files_of(request) == []
    assert request.messages[-1].text == "[Image]\n[The file image.png could not be opened.]"
    assert await channel.told(1) == ["Hello!"]


async def test_nobody_waits_for_a_storage_that_says_nothing(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sent a picture was answered after three minutes."""
    async with bucket() as storage:
        objects = open_objects(settings.model_copy(update={"recordings_url": "s3://files"}))
        async with running_channel(pool, dsn, clock, settings, objects=objects) as channel:
            channel.meta.media = {"m1": PNG, "m3": PNG + b"3"}
            await sends(channel, "image", "m1", "image/png")
            monkeypatch.setattr(whatsapp_files, "PERSON_SECONDS", 0.2)
            storage.answers.clear()
            with capture_logs() as logs:
                request = await sends(channel, "image", "m3", "image/png")
            storage.answers.set()
            assert await channel.told(2) == ["Hello!", "Hello!"]
    assert files_of(request) == [("image/png", "image.png", PNG + b"3")]
    reasons = {line["event"]: line["reason"] for line in logs if line["event"].startswith("file.")}
    assert reasons == dict.fromkeys(("file.not_kept", "file.lost"), "The storage of files did not answer in time.")


async def test_an_agent_takes_as_many_files_as_it_says(channel: Channel) -> None:
    await limit_files(channel, max_files_per_conversation=2, max_files_in_memory=1)
    assert len(files_of(await sends(channel, "image", "m1", "image/png"))) == 1
    request = await sends(channel, "image", "m3", "image/png")
    assert files_of(request) == [("image/png", "image.png", PNG + b"3")]
    assert "[File image.png, sent earlier]" in [
        part.text for part in request.messages[1].parts if isinstance(part, TextPart)
    ]
    request = await sends(channel, "document", "m2", "application/pdf")
    assert "[The file was not opened: this agent takes no more files.]" in request.messages[-1].text
    assert files_of(request) == [("image/png", "image.png", PNG + b"3")]


async def test_files_that_are_fewer_than_an_agent_keeps_in_mind_are_all_shown(channel: Channel) -> None:
    await limit_files(channel, max_files_in_memory=4)
    for media_id in ("m1", "m3", "m1"):
        await sends(channel, "image", media_id, "image/png")
    await channel.hear("Which one is the best?")
    await channel.quiet()
    assert [data for _, _, data in files_of(channel.model.requests[-1])] == [PNG, PNG + b"3", PNG]


async def test_files_that_are_too_large_together_are_named(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_files, "MOST_BYTES", 2 * len(PNG))
    await sends(channel, "image", "m1", "image/png")
    request = await sends(channel, "image", "m3", "image/png")
    assert files_of(request) == [("image/png", "image.png", PNG + b"3")]
    assert request.messages[1].parts[-1] == TextPart("[File image.png, sent earlier]")


async def test_an_agent_may_take_no_files(channel: Channel) -> None:
    await limit_files(channel, enabled=False)
    request = await sends(channel, "image", "m1", "image/png")
    assert files_of(request) == []
    assert "this agent takes no more files" in request.messages[-1].text


async def limit_files(channel: Channel, **limits: Any) -> None:
    await channel.pool.execute(
        """update agent_version set config = jsonb_set(
             config, '{conversation_config,conversation,file_input}',
             config #> '{conversation_config,conversation,file_input}' || $1::jsonb)""",
        limits,
    )


async def post(channel: Channel, settings: Settings, chunks: list[bytes], length: int | None) -> int:
    """The status of a webhook that comes in ``chunks``."""
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    body = b"".join(chunks)
    secret = settings.meta_app_secret[0].encode()
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    headers = [(b"x-hub-signature-256", f"sha256={signature}".encode())]
    headers += [(b"content-length", str(length).encode())] if length is not None else []
    answer = await Webhook(channel.whatsapp.inbox, settings).deliver({"headers": headers}, receive)
    return answer.status_code if answer is not None else 200


async def test_a_webhook_that_a_restarting_database_can_not_keep_is_one_line_of_the_log(
    channel: Channel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meta delivers it again: hundreds of traces of the stack would hide what matters."""
    signing = settings.model_copy(update={"meta_app_secret": ("shh",)})

    async def accept(_: bytes) -> None:
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    monkeypatch.setattr(channel.whatsapp.inbox, "accept", accept)
    with capture_logs() as logs:
        assert await post(channel, signing, [b"{}"], 2) == 503
    [told] = [line for line in logs if line["event"] == "webhook.not_kept"]
    assert (told["log_level"], "exc_info" in told) == ("warning", False)
    assert "starting up" in told["error"]


async def test_a_webhook_may_have_three_megabytes_and_no_more(channel: Channel, settings: Settings) -> None:
    signing = settings.model_copy(update={"meta_app_secret": ("shh",)})
    now = str(int(channel.clock.now().timestamp()))
    message = {"from": "15551230000", "id": "wamid.BIG", "timestamp": now, "type": "text", "text": {"body": "x"}}
    filler = "y" * (3 * 1024 * 1024 - 600)
    value = {"metadata": {"phone_number_id": NUMBER}, "messages": [message], "new_field": filler}
    change = {"field": "messages", "value": value}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "w", "changes": [change]}]}).encode()
    assert 3 * 1024 * 1024 - 1000 < len(body) <= 3 * 1024 * 1024
    halves = [body[: len(body) // 2], body[len(body) // 2 :]]
    assert await post(channel, signing, halves, len(body)) == 200
    assert await channel.told(1) == ["Hello!"]
    limit = signing.webhook_max_bytes
    assert await post(channel, signing, [b"x"], limit + 1) == WebhookTooLarge.http_status
    assert await post(channel, signing, [b"x" * limit, b"x"], None) == WebhookTooLarge.http_status


@pytest.mark.parametrize(("memory", "remembers"), [("forget", False), ("remember", True)])
async def test_a_new_conversation_remembers_the_thread_unless_it_is_to_forget(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, memory: str, remembers: bool
) -> None:
    chosen = settings.model_copy(update={"thread_memory": memory})
    async with running_channel(pool, dsn, clock, chosen) as channel:
        await channel.hear("My order is 77")
        await channel.told(1)
        await channel.quiet()
        await channel.pool.execute("update conversation set status = 'done'")
        await channel.hear("Hello again")
        await channel.told(2)
        system = channel.model.requests[-1].messages[0].text
        assert ("My order is 77" in system) is remembers
