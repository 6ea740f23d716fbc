"""What an operator does in the console, in a real browser, while people write."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from greenline.store.pool import Pool
from support.browser import chromium
from support.pages import Place, pages

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]
expect.set_options(timeout=20_000)

PROMPT = "offline: when ^(.+)$ -> say You said \\1"


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with chromium() as browser, pages(dsn, tmp_path, browser, PROMPT) as place:
        yield place


async def write(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_label("Message", exact=True).press("Enter")


async def test_a_human_takes_over_writes_and_hands_back(place: Place) -> None:
    phone, console = await place.phone("Ann"), await place.console()
    await write(phone, "Hello")
    await console.locator(".gl-line").click()
    await console.get_by_role("button", name="Take over").click()
    await expect(console.get_by_text("You have taken over")).to_be_visible()
    await write(phone, "Is somebody there?")
    await expect(console.locator(".gl-turn.person")).to_have_count(2)
    human = console.get_by_label("Write as a human")
    await human.fill("Yes, I am Mo from the shop.")
    await human.press("Enter")
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("Yes, I am Mo from the shop.")
    await expect(human).to_have_value("")
    await expect(console.locator(".gl-turn.human")).to_contain_text("Mo from the shop")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(2)  # the agent was silent

    inbox = await place.console()
    await expect(inbox.locator(".gl-line")).to_contain_text("a human answers")
    await console.get_by_role("button", name="Hand back").click()
    await expect(console.get_by_text("The agent answers.")).to_be_visible()
    await write(phone, "Thanks")
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("You said Thanks")
    await console.get_by_role("button", name="End", exact=True).click()
    await console.get_by_role("button", name="End it").click()
    await expect(console.get_by_role("button", name="Take over")).to_have_count(0)
    await expect(console.locator(".gl-chip").first).to_have_text("done")


async def test_what_is_opened_stays_open_while_the_conversation_goes_on(place: Place) -> None:
    phone, console = await place.phone("Ann"), await place.console()
    await write(phone, "Hello")
    await console.locator(".gl-line").click()
    await console.get_by_role("button", name="Take over").click()
    await console.get_by_label("Write as a human").fill("half a sen")
    await write(phone, "Hello?")
    await expect(console.locator(".gl-turn.person")).to_have_count(2)
    await expect(console.get_by_label("Write as a human")).to_have_value("half a sen")


async def test_the_inbox_has_pages_and_can_be_searched(place: Place, pool: Pool) -> None:
    phone = await place.phone("Ann")
    await write(phone, "My *calathea* is thirsty")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(1)
    await add_conversations(pool, 120)
    console = await place.console()
    lines = console.locator(".gl-line")
    await expect(lines).to_have_count(50)
    await expect(lines.first).to_contain_text("Ann")
    await console.get_by_role("link", name="Older").click()
    await expect(lines.first).to_contain_text("visitor 70")
    await console.get_by_role("link", name="Older").click()
    await expect(lines).to_have_count(21)
    await expect(console.get_by_role("link", name="Older")).not_to_be_visible()
    await console.get_by_role("link", name="Newest").click()
    await expect(lines.first).to_contain_text("Ann")

    search = console.get_by_role("searchbox")
    for words, found in (("THIRSTY ann", "Ann"), ("visitor 118", "visitor 118"), ("%", None), ("thirsty ben", None)):
        await search.fill(words)
        await search.press("Enter")
        await expect(search).to_have_value(words)
        if found:
            await expect(lines.first).to_contain_text(found)
            await expect(lines).to_have_count(1)
        else:
            await expect(console.get_by_text("No conversation has all of these words.")).to_be_visible()


async def add_conversations(pool: Pool, count: int) -> None:
    """Conversations of an hour ago and older, one a minute; ``visitor 0`` is the oldest."""
    begun = datetime.now(UTC) - timedelta(hours=1, minutes=count)
    await pool.execute(
        """
        insert into conversation(id, workspace_id, agent_id, branch_id, version_id, source, text_only, status,
          user_id, started_at)
        select 'conv_old_' || n, workspace_id, agent_id, branch_id, version_id, 'python_sdk', true, 'done',
          'visitor ' || n, $1::timestamptz + n * interval '1 minute'
        from conversation, generate_series(0, $2 - 1) as n
        """,
        begun,
        count,
    )
