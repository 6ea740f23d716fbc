"""What an operator does in the console, in a real browser, while people write."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from playwright.async_api import expect

from greenline.conversations.events import AgentInterrupted, AgentMessage, Ended, Event, TurnTimed, UserMessage
from greenline.conversations.recordings import keep_recording
from greenline.settings import Settings
from greenline.speech.mp3 import encode_mp3
from greenline.store.objects import open_objects
from greenline.store.pool import Pool
from support.browser import new_page
from support.journal import BEGIN, projection, started
from support.journal import write as write_journal
from support.pages import KEY, Business, Place, line_of, write
from support.socket_agents import make_agent
from support.sockets import client
from support.sounds import sine

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

BUSINESS = Business()
LONG = 60.0
"""Seconds of a recording that is still being played when a busy machine looks at it."""


async def test_a_human_takes_over_writes_and_hands_back(place: Place) -> None:
    phone, console = await place.phone("Ann"), await place.console()
    await write(phone, "Hello")
    await line_of(console, "Ann").click()
    await console.get_by_role("button", name="Take over").click()
    await expect(console.get_by_text("A human has taken over")).to_be_visible()
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
    await inbox.get_by_role("link", name="A human answers", exact=True).click()
    await expect(line_of(inbox, "Ann")).to_contain_text("a human answers")
    await console.get_by_role("button", name="Hand back").click()
    await expect(console.get_by_text("The agent answers.")).to_be_visible()
    await write(phone, "Thanks")
    await expect(phone.locator(".gl-row.theirs").last).to_contain_text("You said Thanks")
    await console.get_by_role("button", name="End", exact=True).click()
    await console.get_by_role("button", name="Let it run").click()
    await expect(console.get_by_role("dialog")).to_have_count(0)
    await console.get_by_role("button", name="End", exact=True).click()
    await console.get_by_role("button", name="End it").click()
    await expect(console.get_by_role("button", name="Take over")).to_have_count(0)
    await expect(console.locator(".gl-chip").first).to_have_text("done")


async def test_a_human_steps_into_a_chat_over_the_agent_socket(place: Place) -> None:
    headers = {"xi-api-key": KEY}
    async with httpx2.AsyncClient(base_url=place.url, headers=headers, trust_env=False, timeout=30) as http:
        agent_id = await make_agent(http)
    path = f"/v1/convai/conversation?agent_id={agent_id}&source=js_sdk"
    async with client(place.url, path) as socket:
        await socket.begin(user_id="visitor 7")
        await socket.send(type="user_message", text="Hello")
        await socket.until("agent_response")
        console = await place.console()
        await line_of(console, "visitor 7").click()
        await expect(console.get_by_role("heading", name="visitor 7")).to_be_visible()
        await expect(console.get_by_text("js sdk, text")).to_be_visible()
        await console.get_by_role("button", name="Take over").click()
        human = console.get_by_label("Write as a human")
        await human.fill("Mo here.")
        await human.press("Enter")
        said = await socket.until("agent_response", lambda frame: "Mo" in str(frame))
        assert said["agent_response_event"]["agent_response"] == "Mo here."
        await expect(console.locator(".gl-turn.human")).to_contain_text("Mo here.")
        await socket.send(type="user_message", text="Is it you?")
        await expect(console.locator(".gl-turn.person").last).to_contain_text("Is it you?")
        await console.get_by_role("button", name="End", exact=True).click()
        await console.get_by_role("button", name="End it").click()
        code, _ = await socket.closed()
        assert code == 1000
        await expect(console.get_by_role("button", name="Hand back")).to_have_count(0)


async def test_what_is_opened_stays_open_while_the_conversation_goes_on(place: Place) -> None:
    phone, console = await place.phone("Bea"), await place.console()
    await write(phone, "Hello")
    await line_of(console, "Bea").click()
    await console.get_by_role("button", name="Take over").click()
    await console.get_by_label("Write as a human").fill("half a sen")
    await write(phone, "Hello?")
    await expect(console.locator(".gl-turn.person")).to_have_count(2)
    await expect(console.get_by_label("Write as a human")).to_have_value("half a sen")


async def test_the_inbox_has_pages_and_can_be_searched(place: Place) -> None:
    phone = await place.phone("Cem")
    await write(phone, "My *calathea* is thirsty")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(1)
    await add_conversations(place.pool, 120)
    others = await place.pool.fetchval("select count(*) from conversation") - 120
    console = await place.console()
    lines = console.locator(".gl-line")
    await expect(lines).to_have_count(50)
    await expect(lines.first).to_contain_text("Cem")
    await console.get_by_role("link", name="Older").click()
    await expect(lines.first).to_contain_text(f"visitor {69 + others}")
    await console.get_by_role("link", name="Older").click()
    await expect(lines).to_have_count(20 + others)
    await expect(console.get_by_role("link", name="Older")).not_to_be_visible()
    await console.get_by_role("link", name="Newest").click()
    await expect(lines.first).to_contain_text("Cem")

    search = console.get_by_role("searchbox")
    for words, found in (("THIRSTY cem", "Cem"), ("visitor 118", "visitor 118"), ("%", None), ("thirsty ben", None)):
        await search.fill(words)
        await search.press("Enter")
        await expect(search).to_have_value(words)
        if found:
            await expect(lines.first).to_contain_text(found)
            await expect(lines).to_have_count(1)
        else:
            await expect(console.get_by_text("No conversation has all of these words.")).to_be_visible()


async def test_words_that_are_being_typed_into_the_search_stay_when_the_inbox_changes(place: Place) -> None:
    console = await place.console()
    await expect(console.locator(".gl-inbox")).to_be_attached()
    search = console.get_by_role("searchbox")
    await search.fill("calat")
    phone = await place.phone("Dora")
    await write(phone, "Is anybody there?")
    await expect(line_of(console, "Dora")).to_be_visible()
    await expect(search).to_have_value("calat")
    await search.press("Enter")
    await expect(console).to_have_url(re.compile(r"q=calat"))
    await expect(search).to_have_value("calat")


async def test_the_focus_stays_where_it_is_when_the_console_changes(place: Place) -> None:
    phone, other = await place.phone("Ewa"), await place.phone("Finn")
    await write(phone, "One")
    console = await place.console()
    line = line_of(console, "Ewa")
    await line.focus()
    await write(other, "Two")
    await expect(line_of(console, "Finn")).to_contain_text("You said Two")
    await expect(console.locator(".gl-line").first).to_contain_text("Finn")
    await write(phone, "Three")
    await expect(console.locator(".gl-line").first).to_contain_text("You said Three")
    await expect(line).to_be_focused()
    await line.press("Enter")
    call = console.get_by_role("button", name="Call this person")
    await call.focus()
    known = console.locator(".gl-fact", has_text="Id").locator("span").last
    await known.evaluate("element => getSelection().selectAllChildren(element)")
    selected = await console.evaluate("getSelection().toString()")
    assert selected.startswith("conv_")
    await write(phone, "Four")
    await expect(console.get_by_text("You said Four")).to_be_visible()
    await expect(call).to_be_focused()
    assert await console.evaluate("getSelection().toString()") == selected


async def test_who_signs_out_does_so_in_all_tabs(place: Place) -> None:
    console = await place.console()
    async with console.expect_popup() as opened:
        await console.evaluate("void window.open('/console')")
    other = await opened.value
    await expect(other.locator(".gl-top")).to_be_visible()
    await expect(console.locator(".gl-inbox")).to_be_attached()
    await other.get_by_role("button", name="Sign out").click()
    await expect(console.get_by_label("API key")).to_be_visible()


async def test_a_spoken_conversation_shows_its_silence_and_plays_its_recording(place: Place) -> None:
    pool = place.pool
    workspace = await pool.fetchval("select id from workspace")
    row = projection(workspace_id=workspace, text_only=False)
    said: list[Event] = [
        UserMessage(id="m1", text="When are you open?", medium="audio"),
        AgentMessage(id="m2", text="At nine", medium="audio"),
        TurnTimed(message_id="m2", waits={"end_of_turn": 300.0, "recognition": 40.0, "synthesis": 160.0}),
        AgentInterrupted(message_id="m2", heard="At"),
    ]
    await write_journal(pool, row, [(0, started(row)), *((1.0, event) for event in said), (4.0, Ended(reason="x"))])
    mp3 = await asyncio.to_thread(encode_mp3, [sine(LONG, 16_000)], 16_000)
    objects = open_objects(Settings(data_dir=place.folder))
    kept: dict[str, Any] = {"seconds": LONG, "has_user": True, "has_agent": True, "now": BEGIN}
    await keep_recording(pool, objects, workspace, row.id, mp3, **kept)

    console = await place.console()
    await console.goto(f"{place.url}/console/conversations/{row.id}")
    await expect(console.get_by_text("WhatsApp call")).to_be_visible()
    await console.get_by_text("Silence before it: 500 ms").click()
    waits = console.locator(".gl-wait")
    await expect(waits).to_have_text(["end of turn300 ms", "recognition40 ms", "synthesis160 ms"])
    track, bar = await waits.nth(2).locator(".gl-wait-track").bounding_box(), waits.nth(2).locator(".gl-wait-bar")
    drawn = await bar.bounding_box()
    assert track is not None
    assert drawn is not None
    assert drawn["x"] - track["x"] == pytest.approx(track["width"] * 0.68, abs=2)
    assert drawn["width"] == pytest.approx(track["width"] * 0.32, abs=2)

    recording = console.get_by_label("Recording")
    await recording.evaluate("audio => audio.load() || audio.play()")
    await expect(recording).to_have_js_property("paused", value=False)
    assert await recording.evaluate("audio => audio.duration") == pytest.approx(LONG, abs=0.2)
    await recording.evaluate("audio => audio.pause()")
    await console.get_by_role("button", name="Play from").nth(1).click()
    await expect(console.locator(".gl-turn.now")).to_contain_text("At")
    stranger = await new_page(place.browser)
    refused = await stranger.request.get(f"{place.url}/console/conversations/{row.id}/audio")
    assert refused.status == 401


async def add_conversations(pool: Pool, count: int) -> None:
    """Conversations of an hour ago and older, one a minute; ``visitor 0`` is the oldest."""
    begun = datetime.now(UTC) - timedelta(hours=1, minutes=count)
    await pool.execute(
        """
        insert into conversation(id, workspace_id, agent_id, branch_id, version_id, source, text_only, status,
          user_id, started_at)
        select 'conv_old_' || n, workspace_id, agent_id, branch_id, version_id, 'python_sdk', true, 'done',
          'visitor ' || n, $1::timestamptz + n * interval '1 minute'
        from (select * from conversation limit 1) as one, generate_series(0, $2 - 1) as n
        """,
        begun,
        count,
    )
