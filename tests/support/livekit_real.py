"""A LiveKit server of the one who runs the tests, beside the stand-in: the same conversations are held in both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from livekit.api import DeleteRoomRequest, LiveKitAPI
from pydantic import SecretStr

from greenline.settings import Settings
from support.livekit_server import LiveKitServer, livekit_server

URL = "GREENLINE_TEST_LIVEKIT_URL"
_SHORT_KEY = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
"""That of `livekit-server --dev` is."""
BOTH = pytest.mark.parametrize(
    "livekit", ["stand-in", pytest.param("real", marks=(pytest.mark.livekit, _SHORT_KEY))], indirect=True
)
"""For a test that takes the fixture `livekit`, and nothing of it that only the stand-in has."""


@dataclass(frozen=True)
class RealLiveKit:
    """Where it is, and what signs its tokens."""

    url: str
    key: str
    secret: str

    async def delete(self, name: str) -> None:
        """End a room."""
        async with LiveKitAPI(self.url, self.key, self.secret) as server:
            await server.room.delete_room(DeleteRoomRequest(room=name))


LiveKit: TypeAlias = LiveKitServer | RealLiveKit


@contextlib.asynccontextmanager
async def livekit_for(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """What the fixture `livekit` is: the stand-in, unless `BOTH` asks for the real one. Skips where none is named."""
    if getattr(request, "param", "stand-in") == "stand-in":
        async with livekit_server() as running:
            yield running
        return
    url = os.environ.get(URL)
    if not url:
        pytest.skip(f"{URL} names no LiveKit server")
    # What `livekit-server --dev` has.
    key = os.environ.get("GREENLINE_TEST_LIVEKIT_API_KEY", "devkey")
    yield RealLiveKit(url, key, os.environ.get("GREENLINE_TEST_LIVEKIT_API_SECRET", "secret"))


def with_livekit(settings: Settings, livekit: LiveKit, **changes: Any) -> Settings:
    """Settings of a server whose rooms are there, with these changes."""
    update = {
        "livekit_url": livekit.url,
        "livekit_api_key": livekit.key,
        "livekit_api_secret": SecretStr(livekit.secret),
        **changes,
    }
    return settings.model_copy(update=update)
