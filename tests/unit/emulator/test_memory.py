"""What the emulator forgets, so that it can run for weeks."""

import pytest

from greenline.emulator.calls.call import Call
from greenline.emulator.calls.memory import forget
from greenline.emulator.calls.peer import RATE
from greenline.emulator.config import Config
from greenline.emulator.evidence import Evidence
from greenline.emulator.media import URL_SECONDS, MediaStore
from greenline.emulator.uploads import Uploads
from greenline.emulator.world import Number, Person

NUMBER, ANN = Number("1", "2", "+1", "Fern"), Person("ann", "Ann", "15550100001", "US.1")
FRAME = bytes(2 * RATE // 50)


def test_the_newest_evidence_is_kept_as_far_as_it_fits() -> None:
    limit = 6
    kept: Evidence[str] = Evidence(lambda: limit, len)
    for word in ("one", "two", "six", "longer than all"):
        kept.append(word)
    assert (list(kept), kept.forgotten) == (["longer than all"], 3), "the newest is kept whatever it weighs"
    kept.append("ten")
    limit = 3
    kept.append("now")
    assert (list(kept), kept.forgotten) == (["now"], 5), "the limit is that of now"


def test_the_oldest_files_are_forgotten_when_there_are_too_many() -> None:
    store = MediaStore(Config(kept_media_bytes=10))
    first, second, third = (store.add("1", "text/plain", bytes(4), None, 1e9) for _ in range(3))
    assert [store.find(file.id, 0.0) for file in (first, second, third)] == [None, second, third]
    store.remove(second.id)
    store.add("1", "text/plain", bytes(6), None, 1e9)
    assert store.find(third.id, 0.0) is third, "what was removed makes room"


def test_addresses_of_files_are_forgotten_when_they_are_dead() -> None:
    store = MediaStore(Config())
    file = store.add("1", "text/plain", b"Hi", None, 1e9)
    for moment in range(3):
        store.address(file, "http://x", moment * URL_SECONDS)
    assert len(store._urls) == 1


async def call(name: str, seconds: int, *, ended: bool = True) -> Call:
    made = Call(name, NUMBER, ANN, "USER_INITIATED", 0.0, sound_seconds=5.0, state="active")
    for _ in range(seconds * 50):
        made.hear(FRAME)
    made.state = "ended" if ended else "active"
    await made.peer.close()
    return made


async def test_calls_that_are_over_make_room_for_newer_ones_and_calls_under_way_stay() -> None:
    live, *over = [await call("live", 4, ended=False), *[await call(str(n), 2) for n in range(4)]]
    calls = {one.id: one for one in (live, *over)}
    forget(calls, Config(kept_calls=3, kept_sound_seconds=4.5))
    assert list(calls) == ["live", "1", "2", "3"]
    assert [one.sound_forgotten for one in calls.values()] == [False, True, False, False]
    assert [one.heard_seconds for one in calls.values()] == pytest.approx([4, 0, 2, 2], abs=0.1)


async def test_so_much_is_kept_of_a_call() -> None:
    assert (await call("long", 8)).heard_seconds == pytest.approx(5, abs=0.1)


def test_uploads_that_never_came_are_given_up_for_newer_ones() -> None:
    uploads = Uploads(Config(kept_media_bytes=100))
    first, second, third = (uploads.begin("1", "image/png", 50) for _ in range(3))
    assert uploads.find(first.path, first.signature) is None
    assert [uploads.find(s.path, s.signature) for s in (second, third)] == [second, third]
    large = uploads.begin("1", "image/png", 500)
    assert uploads.find(large.path, large.signature) is large, "the newest is taken whatever it weighs"
