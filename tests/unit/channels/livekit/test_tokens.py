"""Tokens for rooms, read by LiveKit's own verifier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jwt.exceptions import InvalidSignatureError
from livekit.api import TokenVerifier
from pydantic import SecretStr

from greenline.channels.livekit.tokens import Signer

SECRET = "a-secret-of-thirty-two-letters-or"
SIGNER = Signer("devkey", SecretStr(SECRET))


def token(**more: Any) -> str:
    return SIGNER.token("user_1", "conv_1", now=datetime.now(UTC), life=timedelta(minutes=2), **more)


def test_a_person_may_speak_listen_and_send_data_in_one_room() -> None:
    claims = TokenVerifier("devkey", SECRET).verify(token(name="Ann"))
    assert (claims.identity, claims.name, claims.kind) == ("user_1", "Ann", "")
    video = claims.video
    assert video is not None
    assert (video.room, video.room_join, video.can_publish_sources) == ("conv_1", True, ["microphone"])
    assert video.can_publish
    assert video.can_subscribe
    assert video.can_publish_data
    assert not any((video.room_admin, video.room_create, video.room_list, video.room_record, video.hidden))


def test_the_agent_is_told_apart() -> None:
    assert TokenVerifier("devkey", SECRET).verify(token(is_agent=True)).kind == "agent"


def test_another_secret_does_not_fit() -> None:
    with pytest.raises(InvalidSignatureError):
        TokenVerifier("devkey", "b" * 32).verify(token())


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(SIGNER)
