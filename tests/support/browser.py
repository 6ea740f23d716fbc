"""A real browser without a window, which keeps what goes wrong in its pages."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from support.programs import CHROMIUM
from support.wait import PATIENCE_SECONDS

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MICROPHONE = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
PATIENCE_MS = 1000 * PATIENCE_SECONDS
expect.set_options(timeout=PATIENCE_MS)

_faults: WeakKeyDictionary[Browser, list[str]] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def chromium(microphone: Path | None = None, *, arguments: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """Chromium with a profile of its own, which is gone afterwards.

    ``microphone`` is a WAV file that its microphone hears, again and again; every page may use it.
    """
    heard = (*MICROPHONE, f"--use-file-for-fake-audio-capture={microphone}") if microphone else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *heard, *arguments])
        try:
            yield browser
        finally:
            await browser.close()


async def new_page(browser: Browser, width: int = 1280, height: int = 800) -> Page:
    """A page of a person of its own: no cookie is shared."""
    page = await browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(PATIENCE_MS)
    found = _faults.setdefault(browser, [])

    def told(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.append(f"{message.text} ({message.location.get('url')})")

    page.on("console", told)
    page.on("pageerror", lambda error: found.append(str(error)))
    return page


def faults(browser: Browser) -> list[str]:
    """What the pages of a browser have complained of so far: scripts that failed, things that could not be loaded."""
    return _faults.get(browser, [])
