"""A real browser without a window, which keeps what goes wrong in its pages."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from greenline.speech.models import HEARING_RATE
from greenline.speech.wav import encode_wav
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
    "--disable-features="
    + ",".join(
        (
            # Pages of the browser's own that every new window loads, at half of its price, and nobody sees.
            "WebUIOmniboxPopup",
            "WebUIOmniboxAimPopup",
            "SpareRendererForSitePerProcess",
            # It asks a person before a page of the internet may reach loopback.
            "LocalNetworkAccessChecks",
            "LocalNetworkAccessChecksWebSockets",
        )
    ),
)
MICROPHONE = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
SPEAK = """
const room = new AudioContext();
const microphone = room.createMediaStreamDestination();
navigator.mediaDevices.getUserMedia = async () => microphone.stream.clone();
window.speak = async wav => {
  const bytes = Uint8Array.from(atob(wav), character => character.charCodeAt(0));
  const voice = new AudioBufferSourceNode(room, { buffer: await room.decodeAudioData(bytes.buffer) });
  voice.connect(microphone);
  const said = new Promise(resolve => { voice.onended = resolve; });
  voice.start();
  await said;
};
"""
"""A script that gives a page a microphone of its own, silent until `speak`."""
SLOW_PERMISSION = """
  window.asked = [];
  window.microphones = [];
  const lend = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await new Promise((allow) => window.asked.push(allow));
    const stream = await lend(wanted);
    window.microphones.push(stream.getTracks()[0]);
    return stream;
  };
"""
"""A script with which a page has to wait for its microphones until the test allows each of them."""
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


async def speak(page: Page, pcm: bytes) -> None:
    """Speak into the microphone of `SPEAK`, at `greenline.speech.models.HEARING_RATE`; returns when all is said."""
    wav = base64.b64encode(encode_wav(pcm, HEARING_RATE)).decode()
    await page.evaluate("wav => window.speak(wav)", wav)


def faults(browser: Browser) -> list[str]:
    """What the pages of a browser have complained of so far: scripts that failed, things that could not be loaded."""
    return _faults.get(browser, [])
