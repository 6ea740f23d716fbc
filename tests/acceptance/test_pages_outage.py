"""What is kept of a person's work where the server goes away under an open page and comes back."""

import asyncio
import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Dialog, Page, WebSocketRoute, expect

from greenline.speech.wav import encode_wav
from support.browser import faults, new_page
from support.flaky_database import flaky_database
from support.pages import Business, Place, at_least, line_of, pages, write
from support.postgres import PostgresOfTests
from support.sounds import sine
from support.wait import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

RATE = 48_000
TONE = encode_wav(sine(2.0, RATE, hertz=440.0), RATE)
BUSINESS = Business(
    microphone=TONE,
    log_level="error",  # a tone holds no words
    expected=("web.console_failed", "web.phone_failed"),
)


async def outage(place: Place, page: Page) -> None:
    """The server is gone, and the page knows it."""
    place.server.kill()
    await expect(page.locator("#popup")).to_have_attribute("aria-hidden", "false")


async def back(place: Place, *pages: Page) -> None:
    """The server is there again, and all open pages with it."""
    async with contextlib.AsyncExitStack() as navigated:
        for page in pages:
            await navigated.enter_async_context(page.expect_navigation())
        await place.start_again()
    faults(place.browser).clear()  # connections that were refused meanwhile


async def hold_sockets(page: Page) -> asyncio.Event:
    """Hold what the server tells this page on its socket until the event is set."""
    released = asyncio.Event()

    async def route(browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()

        async def tell(message: str | bytes) -> None:
            await released.wait()
            browser.send(message)

        server.on_message(tell)

    await page.route_web_socket("**/*", route)
    return released


async def test_a_message_that_is_written_while_the_server_is_gone_comes_back_into_the_field(place: Place) -> None:
    phone = await place.phone("Ida")
    field = phone.get_by_label("Message", exact=True)
    await write(phone, "Before")
    await expect(phone.get_by_text("You said Before")).to_be_visible()
    await outage(place, phone)
    await write(phone, "Are you there?")
    await field.fill("And another")
    await back(place, phone)
    await expect(field).to_have_value("Are you there?\nAnd another")
    await field.press("Enter")
    sent = phone.locator(".gl-row.mine").last
    await expect(sent).to_contain_text("And another")
    await expect(sent.get_by_label("delivered").or_(sent.get_by_label("read"))).to_be_visible()
    await phone.reload()
    await expect(sent).to_contain_text("And another")
    await expect(field).to_have_value("")


async def test_what_an_operator_writes_while_the_server_is_gone_comes_back_into_the_field(place: Place) -> None:
    phone = await place.phone("Jan")
    await write(phone, "Hello")
    await expect(phone.get_by_text("You said Hello")).to_be_visible()
    console = await place.console()
    await line_of(console, "Jan").click()
    await console.get_by_role("button", name="Take over").click()
    field = console.get_by_label("Write as a human")
    await field.fill("A human is here")
    await outage(place, console)
    await field.press("Enter")
    await back(place, console, phone)
    await expect(field).to_have_value("A human is here")
    await console.get_by_role("button", name="Send").click()
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("A human is here")
    await expect(field).to_have_value("")


async def test_a_prompt_that_is_being_written_while_the_server_goes_is_in_the_form_again(place: Place) -> None:
    console = await place.console()
    held = await hold_sockets(console)
    await console.goto(f"{place.url}/console/agents/{place.agent_id}")
    prompt = console.get_by_label("Prompt")
    before = await prompt.input_value()
    await expect(prompt).not_to_be_editable()  # the server knows not yet what was kept
    held.set()
    await expect(prompt).to_be_editable()
    await prompt.press("End")
    await prompt.press_sequentially(" And be kind.")
    changed = await prompt.input_value()
    await outage(place, console)
    await back(place, console)
    await expect(prompt).to_have_value(changed)
    await console.get_by_role("button", name="Discard changes").click()
    await expect(prompt).to_have_value(before)
    await console.reload()
    await expect(prompt).to_have_value(before)
    await expect(console.get_by_role("button", name="Discard changes")).to_be_hidden()


async def test_each_chat_keeps_its_draft(place: Place) -> None:
    await place.meta.call("POST", "/people", name="Leo")
    phone = await place.phone("Kai")
    field = phone.get_by_label("Message", exact=True)
    await field.fill("I am Kai")
    await phone.get_by_role("button", name="Leo", exact=True).click()
    await expect(field).to_have_value("")
    await field.fill("I am Leo")
    await phone.get_by_role("button", name="Kai", exact=True).click()
    await expect(field).to_have_value("I am Kai")
    await field.press("Enter")
    await expect(phone.get_by_text("You said I am Kai")).to_be_visible()
    await phone.get_by_role("button", name="Leo", exact=True).click()
    await expect(field).to_have_value("I am Leo")


async def test_a_recording_outlives_the_server(place: Place) -> None:
    phone = await place.phone("Mia")
    asked = asyncio.Event()

    async def stay(dialog: Dialog) -> None:
        assert dialog.type == "beforeunload"
        await dialog.dismiss()
        asked.set()

    phone.once("dialog", stay)
    await phone.get_by_role("button", name="Record a voice note").click()
    await expect(phone.get_by_role("timer")).to_have_text(at_least(1))
    await outage(place, phone)
    await phone.get_by_role("button", name="Send voice note").click()
    await expect(phone.get_by_text("Not sent")).to_be_visible()
    await place.start_again()
    await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
    async with phone.expect_navigation():
        await phone.get_by_role("button", name="Send voice note").click()
    faults(place.browser).clear()  # connections that were refused meanwhile
    await expect(phone.locator(".gl-row.mine .gl-note")).to_be_visible()


async def test_who_hangs_up_while_the_server_is_gone_has_hung_up(place: Place) -> None:
    wish = "sessionStorage.getItem('greenline.hung_up')"
    phone = await place.phone("Noa")
    await phone.get_by_role("button", name="Call", exact=True).click()
    await expect(phone.locator(".gl-call-state")).to_have_text(re.compile(r"^0:\d\d$"))
    await outage(place, phone)
    await phone.get_by_role("button", name="Hang up", exact=True).click()
    await expect(phone.locator(".gl-call-state")).to_have_text("hanging up …")
    assert await phone.evaluate(wish)
    await back(place, phone)

    async def over() -> bool:
        return bool((await place.meta.call("GET", "/calls"))["calls"][-1]["state"] == "ended")

    await until(over)
    await phone.wait_for_function(f"{wish} === null")
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)


async def test_a_console_that_the_database_does_not_answer_says_so_until_it_does(
    postgres: PostgresOfTests, tmp_path: Path
) -> None:
    """Each of them tried every two seconds, and had a line in the log each time."""
    others = ("call.", "database.", "facts.", "live.", "sender.", "wakeups.", "webhook.", "worker.")
    business = replace(BUSINESS, expected=others, log_level="warning")
    async with (
        flaky_database(await postgres.create()) as flaky,
        pages(postgres, tmp_path, business, {"GREENLINE_DATABASE_URL": flaky.dsn}) as place,
    ):
        phone, console = await place.phone("Ole"), await place.console()
        await write(phone, "Hello")
        await expect(line_of(console, "Ole")).to_contain_text("You said Hello")
        stale = console.get_by_text("Not up to date: the database does not answer.")
        await expect(stale).to_be_hidden()
        flaky.cut()
        await expect(stale).to_be_visible()
        other = await new_page(place.browser)
        await other.goto(f"{place.url}/console")
        await other.get_by_label("API key").fill("gl_nobody_asked_for_before")
        await other.get_by_role("button", name="Sign in").click()
        await expect(other.get_by_role("alert")).to_have_text("The database does not answer. Try again in a moment.")
        flaky.mend()
        await expect(stale).to_be_hidden()
        await write(phone, "And now?")
        await expect(line_of(console, "Ole")).to_contain_text("You said And now?")


async def test_a_console_that_fails_otherwise_says_so_and_goes_on(place: Place) -> None:
    phone, console = await place.phone("Pia"), await place.console()
    await write(phone, "Hello")
    await expect(line_of(console, "Pia")).to_contain_text("You said Hello")
    stale = console.get_by_text("Not up to date: the server's log tells why.")
    await place.pool.execute("alter table whatsapp_account rename phone_number_name to something_else")
    try:
        await expect(stale).to_be_visible()
    finally:
        await place.pool.execute("alter table whatsapp_account rename something_else to phone_number_name")
    await expect(stale).to_be_hidden()
    await write(phone, "And now?")
    await expect(line_of(console, "Pia")).to_contain_text("You said And now?")


async def test_a_phone_that_fails_otherwise_says_so_and_goes_on(place: Place) -> None:
    phone = await place.phone("Ria")
    note = phone.locator(".gl-bar-note")
    await write(phone, "Hello")
    await expect(phone.get_by_text("You said Hello")).to_be_visible()
    await place.pool.execute("alter table whatsapp_call rename error_code to something_else")
    try:
        await write(phone, "Anybody?")
        await expect(note).to_have_text("not up to date: the server's log tells why")
    finally:
        await place.pool.execute("alter table whatsapp_call rename something_else to error_code")
    await expect(note).to_have_text("business account")
    await expect(phone.get_by_text("You said Anybody?")).to_be_visible()
