"""What fails with a voice note, fails softly: the person is heard and answered as well as it goes."""

from datetime import timedelta
from pathlib import Path

import pytest

from greenline.clock import ManualClock
from greenline.llm.models import FilePart
from greenline.settings import Settings
from greenline.store.objects import FolderObjects, StorageFault
from greenline.store.pool import Pool
from support.channel import VOICE_NOTE, Channel, running_channel
from support.graph_stand_in import meta_error
from support.scripted import Answer
from support.scripted_speech import ScriptedSpeech
from support.wait import until


@pytest.fixture
def speech() -> ScriptedSpeech:
    return ScriptedSpeech()


async def test_without_a_voice_the_answer_is_text(channel: Channel, speech: ScriptedSpeech) -> None:
    speech.hums = False
    await channel.speak()
    assert await channel.told(1) == ["Hello!"]
    _, answered = await channel.exchange()
    assert (answered.medium, answered.file_ids) == ("text", ())


async def test_when_meta_takes_no_upload_the_answer_is_text(channel: Channel) -> None:
    channel.meta.refuse_upload = meta_error(131053)
    await channel.speak()
    assert await channel.told(1) == ["Hello!"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "[Voice message, in which no words could be understood]"),
        (None, "[Voice message, which could not be listened to]"),
    ],
)
async def test_what_is_not_understood_and_what_nobody_heard_is_told_to_the_model(
    channel: Channel, speech: ScriptedSpeech, words: str | None, told: str
) -> None:
    speech.words = words
    await channel.speak()
    await channel.told(1)
    assert channel.model.requests[-1].messages[-1].text == told


async def test_a_note_that_meta_has_lost_is_told_to_the_model(channel: Channel) -> None:
    await channel.hear("", type="audio", audio={"id": "901", "voice": True})
    await channel.told(1)
    text = channel.model.requests[-1].messages[-1].text
    assert text == "[Voice message]\n[The file audio could not be opened.]"


async def test_a_note_that_meta_refuses_is_written_instead(channel: Channel) -> None:
    channel.meta.refuse = lambda message: meta_error(131053) if message["type"] == "audio" else None
    await channel.speak()
    assert await channel.told(1) == ["Hello!"]
    await channel.quiet()
    note, text = await channel.outbox()
    assert (note["kind"], note["state"], text["kind"], text["state"]) == ("audio", "failed", "text", "accepted")
    _, answered = await channel.exchange()
    assert (answered.outbox_ids, answered.fallback_ids) == ((note["id"],), (text["id"],))


async def test_a_note_that_fails_later_is_written_once(channel: Channel) -> None:
    await channel.speak()
    await channel.told(1)
    for _ in range(2):
        await channel.status(channel.meta.sent[0], "failed", errors=[{"code": 131053, "title": "Media upload error"}])
        await channel.quiet()
    await channel.hear("And coffee?")
    assert await channel.told(3) == ["[media_1]", "Hello!", "Hello!"]
    await channel.quiet()
    assert [row["kind"] for row in await channel.outbox()] == ["audio", "text", "text"]


@pytest.mark.parametrize(("code", "before"), [(131026, "sent"), (131053, "played")])
async def test_where_the_medium_is_not_at_fault_nothing_is_written(channel: Channel, code: int, before: str) -> None:
    await channel.speak()
    await channel.told(1)
    await channel.status(channel.meta.sent[0], before)
    await channel.quiet()
    await channel.status(channel.meta.sent[0], "failed", errors=[{"code": code, "title": "Failed"}])
    await channel.quiet()
    assert [row["kind"] for row in await channel.outbox()] == ["audio"]


async def test_what_came_in_writing_anyway_is_not_written_again(channel: Channel) -> None:
    channel.model.say = lambda request: "See https://tea.example for all kinds."
    await channel.speak()
    await channel.told(2)
    await channel.status(channel.meta.sent[0], "failed", errors=[{"code": 131053, "title": "Media upload error"}])
    await channel.quiet()
    assert [row["kind"] for row in await channel.outbox()] == ["audio", "text"]


async def test_a_note_is_asked_for_again_while_meta_is_out_of_order(channel: Channel) -> None:
    channel.meta.media_faults = [Answer(503)] * 4
    await channel.speak()

    async def answered() -> bool:
        channel.clock.advance(timedelta(seconds=1))
        return channel.meta.texts() == ["[media_1]"]

    await until(answered)
    said, _ = await channel.exchange()
    assert said.text == "Do you sell tea?"
    assert channel.meta.media_faults == []


class FullDisk(FolderObjects):
    async def put(self, key: str, data: bytes) -> None:
        raise StorageFault(f"{key} can't be written: No space left on device.")


async def test_a_full_disk_is_no_reason_not_to_answer(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, tmp_path: Path, speech: ScriptedSpeech
) -> None:
    full = FullDisk(tmp_path)
    async with running_channel(pool, dsn, clock, settings, speech=speech, objects=full) as channel:
        channel.meta.media |= {"900": VOICE_NOTE, "901": b"\x89PNG of Ann"}
        await channel.speak()
        assert await channel.told(1) == ["[media_1]"]
        said, answered = await channel.exchange()
        assert (said.text, said.file_ids) == ("Do you sell tea?", ())
        assert (answered.medium, answered.file_ids) == ("audio", ())
        await channel.hear("", type="image", image={"id": "901", "mime_type": "image/png"})
        assert await channel.told(2) == ["[media_1]", "Hello!"]
        seen = channel.model.requests[-1].messages[-1].parts
        assert [part.data for part in seen if isinstance(part, FilePart)] == [b"\x89PNG of Ann"]
        assert await pool.fetchval("select count(*) from conversation_file") == 0
