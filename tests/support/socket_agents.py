"""Agents for tests of the sockets: made by the API, answered for by the offline model."""

from __future__ import annotations

from typing import Any

import httpx2

from support.wait import until

ECHO = r"offline: when ^(.+)$ -> say You said \1"
EVENTS = [
    "conversation_initiation_metadata",
    "ping",
    "audio",
    "interruption",
    "user_transcript",
    "agent_response",
    "agent_response_correction",
    "agent_response_complete",
    "client_tool_call",
    "agent_tool_request",
    "agent_tool_response",
    "agent_chat_response_part",
]


async def make_agent(
    http: httpx2.AsyncClient,
    prompt: str = ECHO,
    *,
    first_message: str = "Hello!",
    text_only: bool = True,
    tools: list[dict[str, Any]] | None = None,
    platform: dict[str, Any] | None = None,
    **blocks: Any,
) -> str:
    """The id of a new agent; ``blocks`` are further blocks of ``conversation_config``.

    Unless they say otherwise, it does not speak again to who is silent: on a busy machine everybody is.
    """
    conversation = {"text_only": text_only, "client_events": EVENTS, **blocks.pop("conversation", {})}
    agent = {
        "first_message": first_message,
        "prompt": {"prompt": prompt, "llm": "offline", "tools": tools or []},
        **blocks.pop("agent", {}),
    }
    config = {"agent": agent, "conversation": conversation, "turn": {"turn_timeout": -1}, **blocks}
    body = {"conversation_config": config, "platform_settings": platform or {}}
    made = await http.post("/v1/convai/agents/create", json=body)
    assert made.status_code == 200, made.text
    return str(made.json()["agent_id"])


def client_tool(name: str, *, expects_response: bool, **more: Any) -> dict[str, Any]:
    """A tool that the client carries out."""
    return {
        "type": "client",
        "name": name,
        "description": f"The client's tool {name}.",
        "expects_response": expects_response,
        "parameters": {
            "type": "object",
            "properties": {"what": {"type": "string", "description": "What it is about."}},
        },
        **more,
    }


def overrides(**allowed: Any) -> dict[str, Any]:
    """Platform settings in which these fields may be overridden."""
    return {"overrides": {"conversation_config_override": allowed}}


async def finished(http: httpx2.AsyncClient, conversation_id: str) -> dict[str, Any]:
    """A conversation when it is over."""

    async def over() -> dict[str, Any] | None:
        shown = (await http.get(f"/v1/convai/conversations/{conversation_id}")).json()
        return shown if shown.get("status") in ("done", "failed") else None

    return await until(over)


async def said(http: httpx2.AsyncClient, conversation_id: str, message: str) -> dict[str, Any]:
    """A conversation as soon as its transcript, which any server shows, holds ``message``."""

    async def written() -> dict[str, Any] | None:
        shown = (await http.get(f"/v1/convai/conversations/{conversation_id}")).json()
        return shown if message in [turn["message"] for turn in shown.get("transcript", [])] else None

    return await until(written)
