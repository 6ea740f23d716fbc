"""Chats over the agent socket, as a bare client sees every frame of them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from support.http import http_client
from support.server import RunningServer
from support.socket_agents import client_tool, finished, make_agent, overrides
from support.sockets import SocketClient, client
from support.wait import until


def connect(server: RunningServer, agent_id: str, query: str = "") -> Any:
    return client(server.url, f"/v1/convai/conversation?agent_id={agent_id}{query}")


async def answer(socket: SocketClient, text: str) -> str:
    await socket.send(type="user_message", text=text)
    return str((await socket.until("agent_response"))["agent_response_event"]["agent_response"])


async def test_a_chat_streams_its_answers(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id, "&source=js_sdk&version=1.25.0") as socket:
        first = await socket.begin(user_id="ann")
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
        greeting = (await socket.until("agent_response"))["agent_response_event"]
        assert greeting["agent_response"] == "Hello!"
        assert await answer(socket, "What is the time?") == "You said What is the time?"
        parts = [f["text_response_part"] for f in socket.seen if f["type"] == "agent_chat_response_part"]
        last = [part for part in parts if part["event_id"] == parts[-1]["event_id"]]
        assert (last[0]["type"], last[-1]["type"]) == ("start", "stop")
        assert "".join(part["text"] for part in last) == "You said What is the time?"
        assert parts[-1]["event_id"] > greeting["event_id"]
    shown = await finished(http, conversation_id)
    assert [(turn["role"], turn["message"]) for turn in shown["transcript"]] == [
        ("agent", "Hello!"),
        ("user", "What is the time?"),
        ("agent", "You said What is the time?"),
    ]
    metadata = shown["metadata"]
    assert (metadata["conversation_initiation_source"], metadata["conversation_initiation_source_version"]) == (
        "js_sdk",
        "1.25.0",
    )
    assert (metadata["text_only"], metadata["authorization_method"]) == (True, "public")
    assert (shown["user_id"], metadata["termination_reason"]) == ("ann", "Client disconnected")


async def test_a_tool_of_the_client_is_waited_for(server: RunningServer, http: httpx2.AsyncClient) -> None:
    prompt = 'offline: when price -> call price {"what": "tea"}\noffline: after price -> say It costs {result}'
    agent_id = await make_agent(http, prompt, tools=[client_tool("price", expects_response=True)])
    async with connect(server, agent_id) as socket:
        await socket.begin()
        await socket.send(type="user_message", text="What is the price?")
        call = (await socket.until("client_tool_call"))["client_tool_call"]
        assert (call["tool_name"], call["parameters"]) == ("price", {"what": "tea"})
        await socket.send(type="client_tool_result", tool_call_id="unknown", result="1", is_error=False)
        await socket.send(
            type="client_tool_result", tool_call_id=call["tool_call_id"], result="4 euros", is_error=False
        )
        said = await socket.until("agent_response", lambda f: "costs" in f["agent_response_event"]["agent_response"])
        assert said["agent_response_event"]["agent_response"] == "It costs 4 euros"
    kinds = socket.kinds()
    assert kinds.index("agent_tool_request") < kinds.index("agent_tool_response")
    response = next(f for f in socket.seen if f["type"] == "agent_tool_response")["agent_tool_response"]
    assert (response["tool_type"], response["is_error"]) == ("client", False)


async def test_a_tool_of_the_client_is_not_waited_for(server: RunningServer, http: httpx2.AsyncClient) -> None:
    prompt = 'offline: when show -> call show {"what": "tea"}\noffline: after show -> say There it is'
    agent_id = await make_agent(http, prompt, tools=[client_tool("show", expects_response=False)])
    async with connect(server, agent_id) as socket:
        await socket.begin()
        await socket.send(type="user_message", text="show me")
        await socket.until("client_tool_call")
        await socket.until("agent_response", lambda f: f["agent_response_event"]["agent_response"] == "There it is")


async def test_what_the_client_tells_in_passing_is_known(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id) as socket:
        first = await socket.begin()
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
        await socket.until("agent_response")
        await socket.send(type="contextual_update", text="The page shows oolong.", context_id="page")
        await socket.send(type="contextual_update", text="The page shows green tea.", context_id="page")
        assert await answer(socket, "Hi") == "You said Hi"
    shown = await finished(http, conversation_id)
    updates = [turn["contextual_update_info"] for turn in shown["transcript"] if turn["contextual_update_info"]]
    assert len(updates) == 2


@pytest.mark.parametrize(
    ("data", "platform", "first"),
    [
        (
            {"agent": {"first_message": "Hi Ann!"}},
            overrides(agent={"first_message": True}),
            "Hi Ann!",
        ),
        ({"asr": {"keywords": ["oolong"]}}, {}, "Hello!"),
        ({"agent": {}, "tts": {}, "conversation": {}}, {}, "Hello!"),
    ],
)
async def test_overrides_that_are_allowed_are_used(
    server: RunningServer, http: httpx2.AsyncClient, data: dict[str, Any], platform: dict[str, Any], first: str
) -> None:
    agent_id = await make_agent(http, platform=platform)
    async with connect(server, agent_id) as socket:
        await socket.begin(conversation_config_override=data)
        said = (await socket.until("agent_response"))["agent_response_event"]["agent_response"]
    assert said == first


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ({"tts": {"voice_id": "another"}}, "voice_id"),
        ({"conversation": {"client_events": ["audio"]}}, "client_events"),
        ({"turn": {"turn_timeout": 3}}, "turn_timeout"),  # no switch allows it
    ],
)
async def test_overrides_that_are_not_allowed_end_the_start(
    server: RunningServer, http: httpx2.AsyncClient, override: dict[str, Any], field: str
) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id) as socket:
        await socket.send(type="conversation_initiation_client_data", conversation_config_override=override)
        assert await socket.closed() == (1008, f"Override for field '{field}' is not allowed by config.")
    assert socket.seen[0]["error_event"]["error_type"] == "override_error"


async def test_a_client_may_choose_its_events(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, platform=overrides(conversation={"client_events": True}))
    async with connect(server, agent_id) as socket:
        chosen = {"client_events": ["agent_response", "context_usage"]}
        await socket.begin(conversation_config_override={"conversation": chosen})
        assert await answer(socket, "Hi") == "Hello!"  # the greeting
        await socket.until("agent_response")
        await socket.until("context_usage")
    always = {"conversation_initiation_metadata", "agent_chat_response_part", "agent_typing"}
    assert set(socket.kinds()) <= {*always, "agent_response", "context_usage"}


async def test_a_value_that_nothing_has_is_missed_at_the_start(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    agent_id = await make_agent(http, first_message="Welcome to {{system__env_nowhere}}!")
    async with connect(server, agent_id) as socket:
        await socket.send(type="conversation_initiation_client_data")
        reason = "Missing required dynamic variables in first message: {'system__env_nowhere'}"
        assert await socket.closed() == (1008, reason)
    assert socket.seen[0]["error_event"]["error_type"] == "missing_dynamic_variable"


async def test_a_value_that_an_override_misses_is_told_of_in_its_place(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    allowed = overrides(agent={"first_message": True, "prompt": {"prompt": True}})
    agent_id = await make_agent(http, platform=allowed)
    for place, agent in {
        "first message": {"first_message": "Hello {{who}}!"},
        "prompt": {"prompt": {"prompt": "You serve {{who}}."}},
    }.items():
        async with connect(server, agent_id) as socket:
            await socket.send(
                type="conversation_initiation_client_data", conversation_config_override={"agent": agent}
            )
            assert await socket.closed() == (1008, f"Missing required dynamic variables in {place}: {{'who'}}")


async def test_a_message_without_words_is_answered(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, first_message="")
    async with connect(server, agent_id) as socket:
        await socket.begin()
        await socket.send(type="user_message", text=None)
        said = (await socket.until("agent_response"))["agent_response_event"]["agent_response"]
    assert said == "You said [A message without words]"


async def test_dynamic_variables(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, first_message="Hello {{name}}!")
    async with connect(server, agent_id) as socket:
        await socket.begin(dynamic_variables={"name": "Ann"})
        said = (await socket.until("agent_response"))["agent_response_event"]["agent_response"]
    assert said == "Hello Ann!"
    async with connect(server, agent_id) as socket:
        await socket.send(type="conversation_initiation_client_data")
        assert await socket.closed() == (1008, "Missing required dynamic variables in first message: {'name'}")
    assert socket.seen[0]["error_event"]["error_type"] == "missing_dynamic_variable"
    async with connect(server, agent_id) as socket:
        await socket.send(
            type="conversation_initiation_client_data",
            dynamic_variables={"name": "Ann", "system__time_utc": "never"},
        )
        assert (await socket.closed())[0] == 1008


async def test_an_environment_is_one_that_there_is(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id, "&environment=staging") as socket:
        await socket.send(type="conversation_initiation_client_data")
        code, reason = await socket.closed()
    assert code == 1008
    assert "environment" in reason
    (await http.post("/v1/convai/environments", json={"name": "staging"})).raise_for_status()
    async with connect(server, agent_id) as socket:
        first = await socket.begin(environment="staging")
    shown = await finished(http, first["conversation_initiation_metadata_event"]["conversation_id"])
    assert shown["environment"] == "staging"


async def test_an_empty_name_is_as_none(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    params = {"agent_id": agent_id, "environment": ""}
    signed = (await http.get("/v1/convai/conversation/get-signed-url", params=params)).raise_for_status()
    assert "signed_url" in signed.json()
    async with connect(server, agent_id, "&environment=") as socket:
        first = await socket.begin(environment="", branch_id="")
        await socket.until("agent_response")
    shown = await finished(http, first["conversation_initiation_metadata_event"]["conversation_id"])
    assert shown["environment"] == "production"


async def test_start_data_names_a_branch(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    main = (await http.get(f"/v1/convai/agents/{agent_id}")).json()["branch_id"]
    async with connect(server, agent_id) as socket:
        first = await socket.begin(branch_id=main)
        await socket.until("agent_response")
    shown = await finished(http, first["conversation_initiation_metadata_event"]["conversation_id"])
    assert shown["branch_id"] == main
    async with connect(server, agent_id) as socket:
        await socket.send(type="conversation_initiation_client_data", branch_id="agtbrch_none")
        code, reason = await socket.closed()
    assert code == 1008
    assert "branch" in reason


@pytest.mark.parametrize(("field", "value"), [("dynamic_variables", [1]), ("user_id", "ä" * 501)])
async def test_start_data_of_a_wrong_shape(
    server: RunningServer, http: httpx2.AsyncClient, field: str, value: Any
) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id) as socket:
        await socket.send(type="conversation_initiation_client_data", **{field: value})
        code, reason = await socket.closed()
    assert code == 1008
    assert field in reason


async def test_a_person_may_have_a_long_name(server: RunningServer, http: httpx2.AsyncClient) -> None:
    """As long as an index of the database takes whatever it is made of."""
    agent_id = await make_agent(http)
    name = "".join(chr(0x10000 + 7919 * number % 90_000) for number in range(500))
    async with connect(server, agent_id) as socket:
        first = await socket.begin(user_id=name)
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
    listed = (await http.get("/v1/convai/conversations", params={"user_id": name})).json()["conversations"]
    assert [row["conversation_id"] for row in listed] == [conversation_id]


async def test_an_answer_can_be_rated(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id) as socket:
        first = await socket.begin()
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
        event = (await socket.until("agent_response"))["agent_response_event"]
        await socket.send(type="feedback", event_id=event["event_id"], score="like")
        await answer(socket, "Hi")
    shown = await finished(http, conversation_id)
    assert shown["metadata"]["feedback"]["likes"] == 1
    assert shown["transcript"][0]["feedback"]["score"] == "like"


async def test_the_agent_can_hang_up(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(
        http,
        'offline: when bye -> call end_call {"reason": "done", "message": "Goodbye!"}',
        agent={
            "prompt": {
                "prompt": 'offline: when bye -> call end_call {"reason": "done", "message": "Goodbye!"}',
                "llm": "offline",
                "built_in_tools": {"end_call": {"name": "end_call", "params": {"system_tool_type": "end_call"}}},
            }
        },
    )
    async with connect(server, agent_id) as socket:
        first = await socket.begin()
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
        await socket.send(type="user_message", text="bye")
        code, _ = await socket.closed()
    assert code == 1000
    said = [f["agent_response_event"]["agent_response"] for f in socket.seen if f["type"] == "agent_response"]
    assert said[-1] == "Goodbye!"
    shown = await finished(http, conversation_id)
    assert shown["status"] == "done"
    assert "end_call" in shown["metadata"]["termination_reason"]


async def test_a_signed_url_with_an_id_works_once(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, platform={"auth": {"enable_auth": True}})
    answered = await http.get(
        "/v1/convai/conversation/get-signed-url", params={"agent_id": agent_id, "include_conversation_id": "true"}
    )
    url = answered.json()["signed_url"]
    async with client(server.url, f"{url}&source=python_sdk&version=2") as socket:
        first = await socket.begin()
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
        assert f"conversation_id={conversation_id}" in url
    shown = await finished(http, conversation_id)
    assert shown["metadata"]["authorization_method"] == "signed_url"
    async with client(server.url, url) as socket:
        code, reason = await socket.closed()
    assert code == 1008
    assert "once" in reason


async def kept(http: httpx2.AsyncClient, conversation_id: str) -> bool:
    """Whether what the person wrote is durable; on the socket it is answered at once."""
    shown = (await http.get(f"/v1/convai/conversations/{conversation_id}")).json()
    return any(turn["role"] == "user" for turn in shown["transcript"])


async def foreign(server: RunningServer, http: httpx2.AsyncClient) -> str:
    """A file of another conversation."""
    async with connect(server, await make_agent(http)) as socket:
        named = (await socket.begin())["conversation_initiation_metadata_event"]["conversation_id"]
        path = f"/v1/convai/conversations/{named}/files"
        uploaded = await http.post(path, files={"file": ("mine.txt", b"mine", "text/plain")})
        return str(uploaded.json()["file_id"])


async def test_a_picture_is_part_of_a_message(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    async with connect(server, agent_id) as socket:
        first = await socket.begin()
        conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
        path = f"/v1/convai/conversations/{conversation_id}/files"
        async with http_client(server.url) as browser:
            uploaded = await browser.post(path, files={"file": ("tea.png", b"\x89PNG\r\n\x1a\nx", "image/png")})
        file_id = uploaded.json()["file_id"]
        files = [
            {"type": "file_input", "file_id": name} for name in (file_id, "file_none", await foreign(server, http))
        ]
        text = {"type": "user_message", "text": "What is this?"}
        await socket.send(type="multimodal_message", text=text, file=files[0], files=files)
        fault = (await socket.until("error"))["error_event"]
        assert (fault["error_type"], fault["details"]) == (
            "value_error",
            {"file_ids": [named["file_id"] for named in files[1:]]},
        )
        await socket.until("agent_response", lambda f: "You said" in f["agent_response_event"]["agent_response"])
        await until(lambda: kept(http, conversation_id))
        refused = await http.delete(f"{path}/{file_id}")
        assert refused.status_code == 409
    shown = await finished(http, conversation_id)
    assert [file["original_filename"] for file in shown["transcript"][1]["file_inputs"]] == ["tea.png"]
