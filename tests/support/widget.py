"""The official widget on a page of its own, in a real browser."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, Route

from support.browser import PATIENCE_MS, SPEAK
from support.js_client import SITE
from support.programs import NODE_MODULES

_ENTRY: Final = 'import { registerWidget } from "@elevenlabs/convai-widget-core"; registerWidget();'
_RECIPE: Final = re.compile(r"sed -E 's#(.+?)#")
_DOCS: Final = Path(__file__).parents[2] / "docs" / "agents.md"
_PAGE: Final = """<!doctype html><title>A shop</title>
<elevenlabs-convai agent-id="{agent_id}" {attributes}></elevenlabs-convai>
<script>{microphone}</script><script src="/widget.js"></script>"""


def bundle(folder: Path) -> str:
    """The widget as one script, as its publisher bundles it for pages."""
    made = folder / "widget.js"
    command = (NODE_MODULES / ".bin" / "esbuild", "--bundle", "--format=iife", "--minify", f"--outfile={made}")
    subprocess.run(command, input=_ENTRY.encode(), cwd=NODE_MODULES.parent, check=True, capture_output=True)
    return made.read_text(encoding="utf-8")


@contextlib.asynccontextmanager
async def shop(browser: Browser, widget: str, url: str, agent_id: str, attributes: str = "") -> AsyncIterator[Page]:
    """A page with the script ``widget``, in which the hosts that the docs name are the server at ``url``."""
    recipe = _RECIPE.search(_DOCS.read_text(encoding="utf-8"))
    assert recipe is not None
    script = re.sub(recipe[1], lambda host: host[1] + url.removeprefix("http"), widget)
    page_html = _PAGE.format(agent_id=agent_id, attributes=attributes, microphone=SPEAK)

    async def serve(route: Route) -> None:
        asked = urlsplit(route.request.url)
        if f"{asked.scheme}://{asked.netloc}" != SITE:
            await (route.continue_() if route.request.url.startswith(url) else route.abort())  # pictures of a CDN
        elif asked.path == "/widget.js":
            await route.fulfill(content_type="text/javascript; charset=utf-8", body=script)
        else:
            await route.fulfill(content_type="text/html; charset=utf-8", body=page_html)

    page = await browser.new_page()
    try:
        page.set_default_timeout(PATIENCE_MS)
        await page.route(re.compile("^http"), serve)
        await page.goto(f"{SITE}/")
        yield page
    finally:
        await page.close()
