"""What a client may send, and in which portions the server takes it."""

from __future__ import annotations

import pytest

from greenline.channels.socket.client_messages import (
    MAX_TEXT,
    AudioChunk,
    ContextualUpdate,
    UserActivity,
    UserMessage,
)
from greenline.channels.socket.errors import TooFast
from greenline.channels.socket.limits import FRAMES_AT_ONCE, TEXT_AT_ONCE, TEXT_PER_SECOND, TURNS_AT_ONCE, Limits

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


def test_much_sound_in_one_frame_is_taken_in_parts() -> None:
    limits = Limits(RATE, Watch())
    sound = bytes(range(250)) * 200
    parts = [piece.audio for piece in limits.pieces(AudioChunk(audio=sound)) if isinstance(piece, AudioChunk)]
    assert [len(part) for part in parts] == [16_000, 16_000, 16_000, 2_000]
    assert b"".join(parts) == sound
    assert list(limits.pieces(AudioChunk(audio=b""))) == [AudioChunk(audio=b"")]
    assert list(limits.pieces(UserActivity(type="user_activity"))) == [UserActivity(type="user_activity")]
