"""What a client may send, and in which portions the server takes it."""

from __future__ import annotations

import pytest

from greenline.channels.socket.client_messages import (
    MAX_TEXT,
    AudioChunk,
    ContextualUpdate,
    Feedback,
    UserActivity,
    UserMessage,
)
from greenline.channels.socket.errors import TooFast
from greenline.channels.socket.limits import (
    FRAMES_AT_ONCE,
    IN_TIME_SECONDS,
    PIECE_SECONDS,
    TEXT_AT_ONCE,
    TEXT_PER_SECOND,
    TURNS_AT_ONCE,
    WAITING_SECONDS,
    Limits,
)

RATE = 32_000


class Watch:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_document_may_be_pasted_and_a_library_may_not() -> None:
    watch = Watch()
    limits = Limits(RATE, watch)
    longest = "x" * MAX_TEXT
    for _ in range(int(TEXT_AT_ONCE / MAX_TEXT / 2)):
        limits.check(UserMessage(type="user_message", text=longest))
        limits.check(ContextualUpdate(type="contextual_update", text=longest))
    with pytest.raises(TooFast):
        limits.check(UserMessage(type="user_message", text="one word more"))
    watch.seconds += 1
    limits.check(UserMessage(type="user_message", text="x" * int(TEXT_PER_SECOND)))


def test_messages_and_turns_are_counted_apart() -> None:
    limits = Limits(RATE, Watch())
    for _ in range(TURNS_AT_ONCE):
        limits.check(UserMessage(type="user_message", text="hello"))
    with pytest.raises(TooFast):
        limits.check(UserMessage(type="user_message", text="hello"))
    for _ in range(FRAMES_AT_ONCE - TURNS_AT_ONCE - 1):
        limits.check(UserActivity(type="user_activity"))
    with pytest.raises(TooFast):
        limits.check(UserActivity(type="user_activity"))


def test_ratings_are_written_down_and_counted_as_turns_are() -> None:
    limits, rating = Limits(RATE, Watch()), Feedback(type="feedback", event_id=1, score="like")
    for _ in range(TURNS_AT_ONCE):
        limits.check(rating)
    with pytest.raises(TooFast):
        limits.check(rating)


def test_sound_is_taken_in_small_parts() -> None:
    limits = Limits(RATE, Watch())
    sound = bytes(range(250)) * 32
    parts = [piece for piece, _ in limits.pieces(AudioChunk(audio=sound))]
    assert [len(part.audio) for part in parts] == [2_048, 2_048, 2_048, 1_856]
    assert b"".join(part.audio for part in parts) == sound
    assert {part.of_seconds for part in parts} == {0.25}
    assert [piece.audio for piece, _ in limits.pieces(AudioChunk(audio=b""))] == [b""]


def test_sound_that_comes_faster_than_it_plays_is_told_from_a_network_that_catches_up() -> None:
    watch = Watch()
    limits = Limits(RATE, watch)
    second = AudioChunk(audio=bytes(RATE))
    for _ in range(10):  # a microphone
        assert not any(ahead for _, ahead in limits.pieces(second))
        watch.seconds += 1
    watch.seconds += 5  # nothing comes; then more than a second at once
    parts = [*limits.pieces(second), *limits.pieces(second)]
    early = sum(len(piece.audio) for piece, ahead in parts if not ahead)
    assert early / RATE == pytest.approx(IN_TIME_SECONDS, abs=PIECE_SECONDS)
    assert {piece.of_seconds for piece, _ in parts} == {1.0}
    ((late, ahead),) = limits.pieces(AudioChunk(audio=bytes(1_920)))
    assert (late.of_seconds, ahead) == (WAITING_SECONDS, True)
    watch.seconds += 0.06
    ((timely, ahead),) = limits.pieces(AudioChunk(audio=bytes(1_920)))
    assert (timely.of_seconds, ahead) == (0.06, False)
