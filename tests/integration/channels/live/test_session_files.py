"""Files in a live conversation, on their way to the model."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from greenline.channels.live import files as live_files
from greenline.channels.live.files import Files
from greenline.channels.live.models import ResponseComplete
from greenline.conversations.events import UserMessage
from greenline.conversations.files import file_key
from greenline.engine import files as engine_files
from greenline.engine.files import Room, lost
from greenline.llm.models import FilePart, ModelRequest
from greenline.settings import Settings
from greenline.store.objects import FolderObjects, open_objects
from support.bucket import bucket
from support.files import save_file
from support.live import Opens, told_of
from support.rows import WORKSPACE
from support.wait import eventually

CONFIG = {
    "agent": {"prompt": {"prompt": "You sell tea."}},
    "conversation": {"file_input": {"max_files_in_memory": 2}},
}


def shown(request: ModelRequest) -> list[str]:
    """What the model is given of what the person sent: the bytes of files, and texts."""
    parts = [part for message in request.messages for part in message.parts if message.role == "user"]
    return [part.data.decode() if isinstance(part, FilePart) else part.text for part in parts]


async def test_files_that_are_too_many_to_keep_in_mind_are_named(opens: Opens, settings: Settings) -> None:
    async with opens(CONFIG) as live:
        live.model.say = lambda request: "I see."
        objects = FolderObjects(settings.data_dir)
        session, told = await live.begin()

        async def saved(*names: str) -> list[str]:
            conversation, now = session.conversation_id, live.clock.now()
            return [
                (
                    await save_file(
                        live.pool, objects, name.encode(), now, conversation_id=conversation, filename=name
                    )
                ).id
                for name in names
            ]

        async def sends(text: str, file_ids: list[str], answers: int) -> list[str]:
            session.user_message(text, file_ids)
            await told_of(told, ResponseComplete, answers)
            return shown(live.model.requests[-1])

        first = await saved("a", "b", "c")
        assert await sends("Look", first, 1) == ["Look", "[File a, sent earlier]", "b", "c"]
        assert await sends("And", await saved("d"), 2) == [
            *("Look", "[File a, sent earlier]", "[File b, sent earlier]", "c"),
            *("And", "d"),
        ]
        assert await sends("The first again", first[:1], 3) == [
            *("Look", "a", "[File b, sent earlier]", "[File c, sent earlier]"),
            *("And", "d", "The first again", "[File a, sent earlier]"),
        ]
        # One that is sent over and over takes the place of one file.
        assert (await sends("And again", first[:1], 4))[6:] == [
            *("The first again", "[File a, sent earlier]"),
            *("And again", "[File a, sent earlier]"),
        ]


async def test_files_that_are_too_large_together_are_named(
    opens: Opens, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint would refuse all of them, and this process would hold them in memory."""
    monkeypatch.setattr(engine_files, "MOST_BYTES", 10)
    async with opens() as live:
        live.model.say = lambda request: "I see."
        objects = FolderObjects(settings.data_dir)
        session, told = await live.begin()

        async def sends(answers: int, **sizes: int) -> list[str]:
            about = {"conversation_id": session.conversation_id}
            files = [
                await save_file(live.pool, objects, b"x" * size, live.clock.now(), filename=name, **about)
                for name, size in sizes.items()
            ]
            session.user_message("Look", [file.id for file in files])
            await told_of(told, ResponseComplete, answers)
            return shown(live.model.requests[-1])

        assert await sends(1, a=1, b=6) == ["Look", "x", "xxxxxx"]
        assert await sends(2, c=5, d=5) == [
            *("Look", "[File a, sent earlier]", "[File b, sent earlier]"),
            *("Look", "xxxxx", "xxxxx"),
        ]
        assert (await sends(3, e=11))[3:] == [
            *("Look", "[File c, sent earlier]", "[File d, sent earlier]"),
            *("Look", "xxxxxxxxxxx"),
        ]


async def test_a_file_that_the_storage_lost_is_named(opens: Opens, settings: Settings) -> None:
    async with opens(CONFIG) as live:
        live.model.say = lambda request: "I see."
        objects = FolderObjects(settings.data_dir)
        session, told = await live.begin()
        kept = {"conversation_id": session.conversation_id, "filename": "a.png", "mime_type": "image/png"}
        file = await save_file(live.pool, objects, b"x", live.clock.now(), **kept)
        await objects.delete(file_key(WORKSPACE, file.id))
        session.user_message("Look", [file.id])
        await told_of(told, ResponseComplete)
        assert shown(live.model.requests[-1]) == ["Look", "[The file a.png could not be opened.]"]


class SlowObjects(FolderObjects):
    """A storage that gives one object at once, and each further one when ``goes_on`` is set."""

    read_keys: list[str]
    goes_on: asyncio.Event

    async def get(self, key: str) -> bytes:
        self.read_keys.append(key)
        if len(self.read_keys) > 1:
            await self.goes_on.wait()
        return await super().get(key)


async def test_what_an_interrupted_turn_has_read_is_not_read_again(opens: Opens, settings: Settings) -> None:
    async with opens(CONFIG) as live:
        session, _ = await live.begin()
        objects = SlowObjects(settings.data_dir)
        objects.read_keys, objects.goes_on = [], asyncio.Event()
        about = {"conversation_id": session.conversation_id}
        old, new = [
            await save_file(live.pool, objects, b"x", live.clock.now(), filename=name, **about) for name in "ab"
        ]
        files = Files(live.pool, objects, WORKSPACE, session.conversation_id)
        journal = [UserMessage(id="msg_1", text="Look", file_ids=(old.id, new.id))]
        turn = asyncio.create_task(files.shown(journal, Room(2)))
        await eventually(lambda: len(objects.read_keys) == 2)
        turn.cancel()
        await asyncio.wait({turn})
        objects.goes_on.set()
        assert (await files.shown(journal, Room(2))).keys() == {old.id, new.id}
        assert objects.read_keys.count(file_key(WORKSPACE, new.id)) == 1


async def test_nobody_waits_for_a_storage_that_says_nothing(
    opens: Opens, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opens(CONFIG) as live, bucket() as storage:
        session, _ = await live.begin()
        objects = open_objects(settings.model_copy(update={"recordings_url": "s3://files"}))
        about = {"conversation_id": session.conversation_id, "filename": "a.png"}
        kept = [await save_file(live.pool, objects, b"x", live.clock.now(), **about) for _ in range(2)]
        storage.answers.clear()
        monkeypatch.setattr(live_files, "PERSON_SECONDS", 0.2)
        files = Files(live.pool, objects, WORKSPACE, session.conversation_id)
        journal = [UserMessage(id="msg_1", text="Look", file_ids=tuple(file.id for file in kept))]
        with capture_logs() as logs:
            found = await files.shown(journal, Room(2))
    assert found == {file.id: lost("a.png") for file in kept}
    reasons = [line["reason"] for line in logs if line["event"] == "file.lost"]
    assert reasons == ["The storage of files did not answer in time."] * 2
