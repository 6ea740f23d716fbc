"""Whether the speech of a server would work, for ``greenline doctor``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import httpx2

from greenline.clock import Clock
from greenline.settings import Settings
from greenline.speech.catalog import EMBEDDED, WHISPER, SpeechCatalog
from greenline.speech.errors import SpeechError
from greenline.speech.factory import build_speech

REACH_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class SpeechCheck:
    """Who serves where an agent names nobody. ``trouble`` is None if it would work."""

    role: Literal["hearing", "speaking"]
    name: str
    trouble: str | None = None


async def check_speech(settings: Settings, clock: Clock, environ: Mapping[str, str]) -> list[SpeechCheck]:
    """Load what is embedded and knock at the others. No key is tried: that would cost.

    Raises `greenline.errors.ConfigurationError` for settings with which the server does not start.
    """
    services = build_speech(settings, clock, environ)
    hearing, speaking = SpeechCatalog.of("stt", settings, environ), SpeechCatalog.of("tts", settings, environ)
    try:
        return [
            await _check("hearing", hearing, services.warm_hearing),
            await _check("speaking", speaking, services.warm_speaking),
        ]
    finally:
        await services.aclose()


async def _check(
    role: Literal["hearing", "speaking"], catalog: SpeechCatalog, warm: Callable[[], Awaitable[None]]
) -> SpeechCheck:
    target = catalog.find("")
    if target.provider not in (EMBEDDED, WHISPER):
        return SpeechCheck(role, str(target), await _unreached(catalog.url(target.provider)))
    try:
        await warm()
    except (SpeechError, OSError) as error:
        return SpeechCheck(role, target.provider, str(error))
    return SpeechCheck(role, target.provider)


async def _unreached(url: str) -> str | None:
    """Why nobody answers at ``url``; any answer will do."""
    try:
        async with httpx2.AsyncClient(timeout=REACH_SECONDS) as http:
            await http.head(url)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        return f"{url} does not answer ({type(error).__name__}: {error})"
    return None
