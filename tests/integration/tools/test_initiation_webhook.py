"""Start data from a webhook: what is asked, by whom, and what a failing one does not do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from greenline.agents import service as agents
from greenline.agents.config.platform_settings import PlatformSettings
from greenline.agents.models import AgentDefinition
from greenline.agents.workspace_settings import WorkspaceSettings, change_settings
from greenline.clock import ManualClock
from greenline.conversations.start_data import ASKED
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from greenline.tools.initiation_webhook import MAX_BYTES, Brought, NewConversation, StartData
from greenline.workspaces import secrets
from support.rows import WORKSPACE, insert_workspace
from support.scripted import Answer, answer
from support.start_data import asks, start_webhook

TOKEN = "tok-77-secret"


class Desk:
    """Asks for start data on behalf of agents of one workspace."""

    def __init__(self, pool: Pool, clock: ManualClock, settings: Settings) -> None:
        self.pool = pool
        self.clock = clock
        self.settings = settings

    async def ask(self, platform: dict[str, Any], **change: Any) -> Brought:
        definition = AgentDefinition(platform_settings=PlatformSettings.model_validate(platform))
        agent_id = await agents.create(self.pool, self.clock, WORKSPACE, definition)
        version = await agents.live_version(self.pool, WORKSPACE, agent_id)
        settings = self.settings.model_copy(update=change)
        new = NewConversation(version, WORKSPACE, "conv_1", caller_id="15551230000", called_number="100200300")
        return await StartData(self.pool, open_vault(settings), settings).ask(new)


@pytest.fixture
async def desk(pool: Pool, clock: ManualClock, settings: Settings) -> Desk:
    await insert_workspace(pool, clock.now())
    return Desk(pool, clock, settings)


async def test_it_is_told_who_talks_with_whom_and_brings_what_they_need(desk: Desk) -> None:
    vault = open_vault(desk.settings)
    secret_id = await secrets.create(desk.pool, vault, desk.clock, WORKSPACE, name="token", value=TOKEN)
    headers = {"X-Token": {"secret_id": secret_id}, "X-Shop": "fern"}
    override = {"agent": {"first_message": "Hello {{name}}!"}}
    async with start_webhook(
        dynamic_variables={"name": "Ann"}, user_id="crm_7", conversation_config_override=override, branch_id=None
    ) as server:
        brought = await desk.ask(asks(server.url, headers=headers))
    [request] = server.requests
    assert request.method == "POST"
    told = request.json
    assert told.pop("agent_id").startswith("agent_")
    assert told == {
        "caller_id": "15551230000",
        "called_number": "100200300",
        "call_sid": "",
        "conversation_id": "conv_1",
    }
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert (sent["x-token"], sent["x-shop"], sent["content-type"]) == (TOKEN, "fern", "application/json")
    assert (brought.data.dynamic_variables, brought.data.user_id) == ({"name": "Ann"}, "crm_7")
    assert brought.data.conversation_config_override.agent is not None
    [note] = brought.notes
    assert (note.what, set(note.detail)) == (ASKED, {"seconds"})


async def test_the_workspaces_webhook_is_asked_where_the_agent_has_none_of_its_own(desk: Desk) -> None:
    async with start_webhook(user_id="workspace") as shared, start_webhook(user_id="own") as own:
        hook = {"url": shared.url, "request_headers": {}}
        changes = WorkspaceSettings.model_validate({"conversation_initiation_client_data_webhook": hook})
        await change_settings(desk.pool, WORKSPACE, changes)
        assert (await desk.ask(asks())).data.user_id == "workspace"
        assert (await desk.ask(asks(own.url))).data.user_id == "own"
        nobody = await desk.ask({})
    assert nobody == Brought()
    assert (len(shared.requests), len(own.requests)) == (1, 1)


async def test_without_any_webhook_nothing_is_asked(desk: Desk) -> None:
    assert await desk.ask(asks()) == Brought()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer({}, 500), "The webhook answered with the status 500 in place of 200."),
        (Answer(302, headers={"location": "http://127.0.0.1:1/"}), "status 302 in place of 200."),
        (Answer(body=b"<html>"), "The webhook's answer is no JSON."),
        (Answer(body=b"[1]"), "The webhook's answer is no JSON object."),
        (answer({"dynamic_variables": [TOKEN]}), "The webhook's answer is no start data. dynamic_variables: "),
        (answer({"dynamic_variables": {"a": "x\0"}}), "can't be kept. Text must not hold a NUL character."),
        (answer({"environment": "p\0"}), "can't be kept. Text must not hold a NUL character."),
        (answer({"x\0": 1}), "can't be kept. Text must not hold a NUL character."),
        (Answer(body=b'{"x":' + b"[" * 300 + b"]" * 300 + b"}"), "nested deeper than 100 levels."),
        (Answer(body=b" " * (MAX_BYTES + 1)), "The answer is larger than may be read."),
        (Answer(hang=True), "No answer came in"),
        (Answer(cut=True), ""),
    ],
)
async def test_a_webhook_that_fails_brings_nothing_and_the_journal_tells_why(
    desk: Desk, reply: Answer, error: str
) -> None:
    async with start_webhook(reply=reply) as server:
        seconds = 0.3 if reply.hang else 20.0
        brought = await desk.ask(asks(server.url), initiation_webhook_seconds=seconds)
    assert brought.data.stored() == {}
    [note] = brought.notes
    assert error in note.detail["error"]
    assert TOKEN not in note.detail["error"]
    assert len(server.requests) == 1


async def test_of_an_answer_full_of_faults_a_few_are_told(desk: Desk) -> None:
    async with start_webhook(reply=answer({"procedure_ids": [0] * 60_000})) as server:
        [note] = (await desk.ask(asks(server.url))).notes
    error = note.detail["error"]
    assert error.startswith("The webhook's answer is no start data. procedure_ids.0: ")
    assert error.count("procedure_ids") == 5
    assert len(error) < 600


@pytest.mark.parametrize(
    ("url", "headers", "error"),
    [
        ("http://10.0.0.1/hook", {}, "GREENLINE_OUTBOUND_ALLOW"),
        ("file:///etc/passwd", {}, "Addresses begin with http or https"),
        ("http://shop.example/\x01", {}, "The request could not be made"),
        ("http://127.0.0.1:1/hook", {"X": {"secret_id": "secret_gone"}}, "the workspace has no secret secret_gone"),
        ("http://127.0.0.1:1/{{system__env_shop}}", {}, "no environment variable shop"),
    ],
)
async def test_what_can_not_be_sent_brings_nothing(desk: Desk, url: str, headers: dict[str, Any], error: str) -> None:
    agent_id = await agents.create(desk.pool, desk.clock, WORKSPACE, AgentDefinition())
    version = await agents.live_version(desk.pool, WORKSPACE, agent_id)
    # As of an agent whose secret was deleted since.
    version = replace(version, platform_settings=PlatformSettings.model_validate(asks(url, headers=headers)))
    start_data = StartData(desk.pool, open_vault(desk.settings), desk.settings)
    [note] = (await start_data.ask(NewConversation(version, WORKSPACE, "conv_1", "1", "2"))).notes
    assert error in note.detail["error"]
    assert TOKEN not in note.detail["error"]


async def test_a_secret_that_is_no_header_is_not_repeated(desk: Desk) -> None:
    async with start_webhook() as server:
        brought = await desk.ask(asks(server.url, headers={"X-Token": f"{TOKEN}\n"}))
    [note] = brought.notes
    assert note.detail["error"] == "The request could not be made: LocalProtocolError"
