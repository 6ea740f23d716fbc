"""Phone page and console in a real browser, against a real server and the emulator."""

import asyncio
import base64
import re
from typing import Any

import pytest
from playwright.async_api import FilePayload, Route, expect

from greenline.clock import SystemClock
from greenline.workspaces import service as workspaces
from support.browser import new_page
from support.pages import ECHO, Business, Place, line_of, notified, write
from support.wait import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

PROMPT = f"""\
offline: when now -> say That took a while
offline: when slow -> wait 600 ; say Never
{ECHO}"""
BUSINESS = Business(PROMPT, expected=("delivery.failed",))
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize("path", ["phone", "console"])
async def test_a_browser_may_leave_while_the_page_is_drawn(place: Place, path: str) -> None:
    """Nothing is wrong with the server then: its errors are looked at when all tests have run."""
    page = await place.console() if path == "console" else await new_page(place.browser)
    await page.add_init_script(
        "Date.prototype.getTimezoneOffset = () => { location.href = 'about:blank'; return new Promise(() => {}); }"
    )
    await page.goto(f"{place.url}/{path}")
    await page.wait_for_url("about:blank")


async def test_a_message_is_answered_with_ticks_and_shown_in_the_console(place: Place) -> None:
    console, phone = await place.console(), await place.phone("Ann")
    await write(phone, "Do you have *oolong*? <script>document.title='pwned'</script> https://tea.example/a?b=1")
    answer = phone.locator(".gl-row.theirs")
    await expect(answer).to_contain_text("You said Do you have oolong? <script>document.title='pwned'</script>")
    await expect(answer.locator("b")).to_have_text("oolong")
    await expect(answer.locator("a")).to_have_attribute("href", "https://tea.example/a?b=1")
    await expect(phone.locator(".gl-row.mine .gl-tick")).to_have_attribute("aria-label", "read")
    assert await phone.title() == "Phone · Greenline"

    line = line_of(console, "Ann")
    await expect(line).to_contain_text("<script>document.title='pwned'</script>")
    await line.click()
    await expect(console.locator(".gl-turn")).to_have_count(2)
    await expect(console.locator(".gl-turn.agent .gl-chip")).to_have_text("read")
    await write(phone, "And sencha?")
    await expect(console.locator(".gl-turn")).to_have_count(4)
    assert await console.title() == "Conversation · Greenline"


async def test_the_pane_behind_the_phone_tells_every_step_in_order(place: Place) -> None:
    phone = await place.phone("Bea")
    await write(phone, "Hello")
    await expect(phone.locator(".gl-step-title > span:first-child")).to_contain_text(
        [
            "The person sends",
            "Webhook received and committed",
            "Conversation begins",
            "Turn takes the message",
            "Model: offline",
            "Graph call: send text",
            "Status: delivered",
        ]
    )
    await expect(phone.locator(".gl-step-gap").nth(1)).to_have_text(re.compile(r"\+(\d+ ms|\d+\.\d s)"))
    await phone.get_by_text("Webhook received and committed").click()
    await expect(phone.locator(".gl-step[open] .gl-detail")).to_contain_text('"body": "Hello"')
    assert place.meta.business["token"] not in await phone.content()


async def test_typing_dots_are_there_while_the_agent_works(place: Place) -> None:
    phone = await place.phone("Cem")
    await write(phone, "slow please")
    await expect(phone.locator(".gl-typing")).to_be_visible()
    await write(phone, "now!")  # the agent takes both together
    await expect(phone.locator(".gl-row.theirs")).to_have_text(re.compile("That took a while"))
    await expect(phone.locator(".gl-typing")).to_have_count(0)


async def test_buttons_and_lists_can_be_tapped(place: Place) -> None:
    phone = await place.phone("Dora", 390, 844)
    await write(phone, "Hello")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(1)
    person = await place.wa_id("Dora")
    buttons = [{"type": "reply", "reply": {"id": f"b{n}", "title": title}} for n, title in enumerate(("Yes", "No"))]
    question = {"type": "button", "body": {"text": "Gift wrap?"}, "action": {"buttons": buttons}}
    await place.send(person, "interactive", question)
    await phone.get_by_role("button", name="No", exact=True).click()
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("[Button: No")
    await expect(phone.locator(".gl-row.mine .gl-quote")).to_have_text("Gift wrap?")

    rows = [{"id": "r1", "title": "Sencha", "description": "Japan"}, {"id": "r2", "title": "Assam"}]
    action = {"button": "Our teas", "sections": [{"title": "Green and black", "rows": rows}]}
    await place.send(person, "interactive", {"type": "list", "body": {"text": "Which one?"}, "action": action})
    await phone.get_by_role("button", name="Our teas").click()
    await phone.locator(".gl-option", has_text="Assam").click()
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("Assam")


async def test_buttons_of_a_template_reply_open_a_page_or_dial(place: Place) -> None:
    phone = await place.phone("Dirk", 390, 844)
    await write(phone, "Hello")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(1)
    buttons = [
        {"type": "QUICK_REPLY", "text": "It fits"},
        {"type": "URL", "text": "Track it", "url": "https://shop.example/{{1}}", "example": ["1"]},
        {"type": "PHONE_NUMBER", "text": "Ring us", "phone_number": "+1 (555) 000-1111"},
        {"type": "COPY_CODE", "example": "TEA7"},
    ]
    components = [
        {"type": "HEADER", "format": "TEXT", "text": "Parcel {{1}}", "example": {"header_text": ["7"]}},
        {"type": "BODY", "text": "Your *parcel* is here."},
        {"type": "FOOTER", "text": "Fern & Field"},
        {"type": "BUTTONS", "buttons": buttons},
    ]
    await place.approve({"name": "parcel", "language": "en", "category": "MARKETING", "components": components})
    given = [
        ("url", 1, {"type": "text", "text": "9?a=b"}),
        ("copy_code", 3, {"type": "coupon_code", "coupon_code": "T"}),
    ]
    sent: list[dict[str, Any]] = [{"type": "header", "parameters": [{"type": "text", "text": "7"}]}]
    sent += [{"type": "button", "sub_type": kind, "index": at, "parameters": [what]} for kind, at, what in given]
    template = {"name": "parcel", "language": {"code": "en"}, "components": sent}
    await place.send(await place.wa_id("Dirk"), "template", template)

    bubble = phone.locator(".gl-row.theirs").last
    await expect(bubble.locator(".gl-text")).to_have_text("Your parcel is here.")
    await expect(bubble.locator(".gl-head")).to_have_text("Parcel 7")
    await expect(bubble.locator(".gl-foot")).to_have_text("Fern & Field")
    shown: list[str | re.Pattern[str]] = [
        "It fits",
        re.compile("Track it"),
        re.compile(r"Ring us\+1 \(555\) 000-1111"),
        "Copy codeT",
    ]
    await expect(bubble.locator(".gl-choice")).to_have_text(shown)
    page = bubble.get_by_role("link", name="Track it")
    await expect(page).to_have_attribute("href", "https://shop.example/9?a=b")
    await expect(page).to_have_attribute("target", "_blank")
    await expect(page).to_have_attribute("rel", re.compile("noopener"))
    await expect(bubble.get_by_role("link", name="Ring us")).to_have_attribute("href", "tel:+15550001111")
    await expect(bubble.get_by_role("button", name="Copy code")).to_have_count(0)
    await bubble.get_by_role("button", name="It fits").click()
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("[Button: It fits")


async def test_files_replies_and_reactions_travel(place: Place) -> None:
    phone = await place.phone("Emil")
    chooser = phone.locator(".gl-upload input[type=file]")
    pdf: FilePayload = {
        "name": "invoice <1>.pdf",
        "mimeType": "application/pdf",
        "buffer": b"%PDF-1.4\n" + b"x" * 5000,
    }
    await chooser.set_input_files(pdf)
    await expect(phone.locator(".gl-file-name")).to_have_text("invoice <1>.pdf")
    await expect(phone.locator(".gl-file-note")).to_have_text("application/pdf · 5 kB")
    await chooser.set_input_files({"name": "leaf.png", "mimeType": "image/png", "buffer": PNG})
    picture = phone.locator("img.gl-picture")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 1)

    await write(phone, "Hello")
    answer = phone.locator(".gl-row.theirs", has_text="You said Hello")
    await answer.get_by_label("Reply or react").click()
    await phone.get_by_role("button", name="React with 👍").click()
    await expect(answer.locator(".gl-reactions")).to_have_text("👍")
    await expect(phone.get_by_role("button", name="React with 👍")).to_have_count(0)
    await answer.get_by_label("Reply or react").click()
    await phone.get_by_role("button", name="Reply", exact=True).click()
    await expect(phone.locator(".gl-replying")).to_contain_text("You said Hello")
    await expect(phone.get_by_label("Message", exact=True)).to_be_focused()
    await phone.keyboard.type("Thanks")
    await phone.keyboard.press("Enter")
    await expect(phone.locator(".gl-row.mine .gl-quote")).to_have_text("You said Hello")


async def test_a_file_is_sent_by_the_person_for_whom_it_was_chosen(place: Place) -> None:
    await place.meta.call("POST", "/people", name="Vic")
    phone = await place.phone("Uma")
    under_way, let_on = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        under_way.set()
        await let_on.wait()
        await route.continue_()

    async def sent() -> list[str]:
        chats = [f"/people/{await place.person_id(name)}/chats/{place.meta.number}" for name in ("Uma", "Vic")]
        found = [(await place.meta.call("GET", chat))["messages"] for chat in chats]
        return [name for name, messages in zip(("Uma", "Vic"), found, strict=True) if messages]

    await phone.route("**/upload/*", hold)
    letter: FilePayload = {"name": "letter.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4\n"}
    async with phone.expect_file_chooser() as chooser:
        await phone.get_by_role("button", name="Send a file").click()
    await (await chooser.value).set_files(letter)
    await asyncio.wait_for(under_way.wait(), PATIENCE_SECONDS)
    await phone.get_by_role("button", name="Vic", exact=True).click()
    await expect(phone.locator(".gl-person.on")).to_have_text("Vic")
    let_on.set()
    assert await until(sent) == ["Uma"]


async def test_two_people_write_at_once_and_each_sees_only_theirs(place: Place) -> None:
    flo, gus = await place.phone("Flo"), await place.phone("Gus")
    for number in range(1, 4):
        await write(flo, f"Flo {number}")
        await write(gus, f"Gus {number}")
        for page, name in ((flo, "Flo"), (gus, "Gus")):
            await expect(page.locator(".gl-row.theirs").last).to_contain_text(f"You said {name} {number}")
            await expect(page.locator(".gl-row.mine")).to_have_count(number)
    assert "You said Gus" not in await flo.locator(".gl-chat").inner_text()


async def test_a_new_person_can_be_played_and_unread_messages_are_counted(place: Place) -> None:
    phone = await place.phone("Kim")
    await write(phone, "Hello")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(1)
    await phone.get_by_role("button", name="+ New person").dblclick()
    await phone.get_by_label("Name").fill("Cleo")
    await phone.get_by_role("button", name="Add").dblclick()
    await expect(phone.locator(".gl-person.on")).to_contain_text("Cleo")
    await expect(phone.get_by_role("dialog")).to_have_count(0)
    await expect(phone.locator(".gl-person", has_text="Cleo")).to_have_count(1)
    await expect(phone.locator(".gl-row")).to_have_count(0)
    chip = await phone.locator(".gl-person.on").element_handle()
    await place.send(await place.wa_id("Kim"), "text", {"body": "Are you there?"})
    unread = phone.get_by_role("button", name="Kim").locator(".gl-unread")
    await expect(unread).to_have_text("1")
    assert chip is not None
    assert await chip.evaluate("it => it.isConnected"), "a click on it would have been lost"
    await phone.get_by_role("button", name="Kim").click()
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("Are you there?")
    await expect(unread).to_have_count(0)


async def test_the_person_who_is_played_is_in_sight_among_many(place: Place) -> None:
    for number in range(9):
        await place.meta.call("POST", "/people", name=f"Maximiliane {number} of Hohenlohe-Langenburg")
    phone = await place.phone("Zoe")
    await expect(phone.locator(".gl-person.on")).to_be_in_viewport(ratio=0.9)
    await phone.locator(".gl-person").first.click()
    await expect(phone.locator(".gl-person").first).to_have_class("gl-person on")
    await expect(phone.locator(".gl-person.on")).to_be_in_viewport(ratio=0.9)


async def test_the_console_shows_a_message_that_failed_and_what_to_do(place: Place) -> None:
    phone = await place.phone("Hanna")
    await place.meta.call("POST", "/faults", name="late_failed", code=131026)
    await write(phone, "Hello")
    await expect(phone.get_by_text("Status: failed")).to_be_visible()
    await place.meta.call("DELETE", "/faults")
    console = await place.console()
    await console.get_by_role("link", name="Failed", exact=True).click()
    line = line_of(console, "Hanna")
    await expect(line).to_contain_text("1 not delivered")
    await line.click()
    await expect(console.locator(".gl-delivery .gl-bad")).to_contain_text("The message can't be delivered")
    trouble = console.get_by_role("region", name="What went wrong")
    await expect(trouble).to_contain_text("A message was not delivered: Message undeliverable")
    await trouble.get_by_role("link", name="Show where").click()
    await expect(console.locator(".gl-turn:target")).to_contain_text("You said Hello")


async def test_numbers_and_agents_can_be_changed(place: Place) -> None:
    console = await place.console()
    await console.get_by_role("link", name="Numbers").click()
    await expect(console.locator(".gl-number")).to_contain_text("token valid")
    for name in ("Answer messages", "Answer voice notes by voice notes"):
        await notified(console, "Saved.", console.get_by_role("switch", name=name).click())
        await console.reload()
        await expect(console.get_by_role("switch", name=name)).not_to_be_checked()
        await notified(console, "Saved.", console.get_by_role("switch", name=name).click())
        await console.reload()
        await expect(console.get_by_role("switch", name=name)).to_be_checked()

    await console.get_by_role("link", name="Agents").click()
    await console.locator(".gl-line").click()
    versions = "select count(*) from agent_version where agent_id = $1"
    before = await place.pool.fetchval(versions, place.agent_id)
    await console.get_by_label("Prompt").fill("offline: when ^(.+)$ -> say Changed")
    saving = console.get_by_role("button", name="Save as a new version").dblclick()
    await notified(console, "New conversations use this version", saving)
    phone = await place.phone("Ines")
    await write(phone, "Hello")
    await expect(phone.locator(".gl-row.theirs")).to_contain_text("Changed")
    assert await place.pool.fetchval(versions, place.agent_id) == before + 1
    await place.change_agent(prompt={"prompt": PROMPT})


async def test_a_wrong_key_opens_nothing_and_a_workspace_sees_only_its_own(place: Place) -> None:
    phone = await place.phone("Jon")
    await write(phone, "Hello")
    owner = await place.console()
    address = await line_of(owner, "Jon").get_attribute("href")

    other = await workspaces.create(place.pool, SystemClock(), "Other")
    made = await workspaces.create_key(place.pool, SystemClock(), other.id, "pages")
    stranger = await place.console(made.secret)
    await expect(stranger.get_by_text("No conversation yet")).to_be_visible()
    await stranger.goto(f"{place.url}{address}")
    await expect(stranger.get_by_text("No conversation with this id")).to_be_visible()
    await stranger.goto(f"{place.url}/console/agents/{place.agent_id}")
    await expect(stranger.get_by_text("No agent with this id")).to_be_visible()
    await stranger.goto(f"{place.url}/console")
    await expect(stranger.get_by_text("No conversation yet")).to_be_visible()
    await workspaces.revoke_key(place.pool, SystemClock(), other.id, made.id)
    await expect(stranger.get_by_label("API key")).to_be_visible()

    await owner.get_by_role("button", name="Sign out").click()
    await expect(owner.get_by_label("API key")).to_be_visible()
    await owner.get_by_label("API key").fill("gl_wrong")
    await owner.get_by_role("button", name="Sign in").click()
    await expect(owner.get_by_role("alert")).to_contain_text("not known")
