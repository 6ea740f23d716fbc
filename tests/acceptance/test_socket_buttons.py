"""Buttons that the official widget draws, and taps on them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from support.server import RunningServer
from support.socket_agents import finished, make_agent
from support.sockets import Frame, SocketClient, client

BUTTONS = {
    "body_text": "Which tea?",
    "footer_text": "Both are organic.",
    "buttons": [{"id": "g", "title": "Green"}, {"id": "b", "title": "Black"}],
}
ROWS = [{"id": f"t{n}", "title": f"Tea {n}", "description": "fresh"} for n in range(4)]
SCRIPT = (
    "offline: when list -> call send_interactive_list "
    '{"body_text": "All teas", "button_text": "Open", "sections": [{"title": "", "rows": %s}]}\n'
    "offline: when teas -> call send_interactive_buttons %s\n"
    r"offline: when ^(.+)$ -> say You said \1"
)
WIDGET = {"source": "widget", "version": "0.17.0"}


def connect(server: RunningServer, agent_id: str) -> Any:
    return client(server.url, f"/v1/convai/conversation?agent_id={agent_id}")


async def make(http: httpx2.AsyncClient, **more: Any) -> str:
    built_in: dict[str, Any] = {"send_interactive_buttons": {}, "send_interactive_list": {}}
    prompt = SCRIPT % (json.dumps(ROWS), json.dumps(BUTTONS))
    agent = {"prompt": {"prompt": prompt, "llm": "offline", "built_in_tools": built_in}}
    return await make_agent(http, first_message="", agent=agent, **more)


async def rich(socket: SocketClient) -> dict[str, Any]:
    shown: dict[str, Any] = (await socket.until("rich_content"))["rich_content"]
    return shown


async def said(socket: SocketClient) -> str:
    return str((await socket.until("agent_response"))["agent_response_event"]["agent_response"])


def named(frame: Frame) -> str:
    return str(frame["conversation_initiation_metadata_event"]["conversation_id"])


async def test_a_tap_is_read_as_the_button_that_was_tapped(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make(http)
    async with connect(server, agent_id) as socket:
        conversation_id = named(await socket.begin(source_info=WIDGET))
        await socket.send(type="user_message", text="What teas are there?")
        assert await said(socket) == "Which tea?\nBoth are organic."
        row = await rich(socket)
        assert row["component"] == "buttons"
        assert [(b["type"], b["label"], b["message"]) for b in row["props"]["buttons"]] == [
            ("message", "Green", "Green"),
            ("message", "Black", "Black"),
        ]
        last = [frame for frame in socket.seen if frame["type"] == "agent_response"][-1]
        assert row["event_id"] == last["agent_response_event"]["event_id"]
        await socket.send(type="user_message", text="Black", rich_content_id=row["rich_content_id"])
        assert await said(socket) == "You said [Button: Black (id: b)]"
    shown = await finished(http, conversation_id)
    offered, tap = (
        next(turn for turn in shown["transcript"] if turn["message"] == text)
        for text in (
            "Which tea?\n[Green]\n[Black]",
            "[Button: Black (id: b)]",
        )
    )
    assert offered["tool_results"][0]["tool_name"] == "send_interactive_buttons"
    assert (tap["role"], tap["rich_content_id"]) == ("user", row["rich_content_id"])


async def test_a_list_is_rows_of_three(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make(http)
    async with connect(server, agent_id) as socket:
        await socket.begin(source_info=WIDGET)
        await socket.send(type="user_message", text="The list, please")
        assert (await said(socket)).splitlines() == ["All teas", *(f"- Tea {n} – fresh" for n in range(4))]
        first, second = await rich(socket), await rich(socket)
        assert [len(row["props"]["buttons"]) for row in (first, second)] == [3, 1]
        await socket.send(type="user_message", text="Tea 3", rich_content_id=second["rich_content_id"])
        assert await said(socket) == "You said [Button: Tea 3 (id: t3)]"


async def test_what_is_no_tap_was_typed(server: RunningServer, http: httpx2.AsyncClient) -> None:
    """An unknown row, a row of the conversation before, other words; a tap with a file is one."""
    agent_id = await make(http)
    async with connect(server, agent_id) as socket:
        await socket.begin(source_info=WIDGET)
        await socket.send(type="user_message", text="teas")
        before = await rich(socket)
    async with connect(server, agent_id) as socket:  # the widget connects again
        conversation_id = named(await socket.begin(source_info=WIDGET))
        for row in ("unknown", "first_message", before["rich_content_id"]):
            await socket.send(type="user_message", text="Green", rich_content_id=row)
            assert await said(socket) == "You said Green"
        await socket.send(type="user_message", text="teas")
        row = (await rich(socket))["rich_content_id"]
        await socket.send(type="user_message", text="White", rich_content_id=row)
        await socket.until(
            "agent_response", lambda f: f["agent_response_event"]["agent_response"] == "You said White"
        )
        inner = {"type": "user_message", "text": "Green", "rich_content_id": row}
        await socket.send(type="multimodal_message", text=inner)
        assert await said(socket) == "You said [Button: Green (id: g)]"
    shown = await finished(http, conversation_id)
    attributed = [turn["message"] for turn in shown["transcript"] if turn["rich_content_id"]]
    assert attributed == ["[Button: Green (id: g)]"]


@pytest.mark.parametrize("source", ["js_sdk", "python_sdk"])
async def test_other_clients_are_offered_no_buttons(
    server: RunningServer, http: httpx2.AsyncClient, source: str
) -> None:
    agent_id = await make(http)
    async with connect(server, agent_id) as socket:
        await socket.begin(source_info={"source": source, "version": "1.0"})
        await socket.send(type="user_message", text="What teas are there?")
        assert await said(socket) == "There is no tool named send_interactive_buttons."
        assert "rich_content" not in socket.kinds()
