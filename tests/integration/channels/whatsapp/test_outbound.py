"""Conversations that the business starts: what is checked, what is kept, and how the reply finds them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import TypeAdapter

from greenline.agents import service as agents
from greenline.agents.initiation import InitiationData
from greenline.agents.models import AgentDefinition, AgentNotFound, BranchNotFound
from greenline.agents.overrides import OverrideNotAllowed
from greenline.channels.whatsapp.account_checks import mark_token_expired
from greenline.channels.whatsapp.account_events import apply_account_event
from greenline.channels.whatsapp.account_models import AccountImport, AccountNotFound, MetaUnavailable, TokenExpired
from greenline.channels.whatsapp.accounts import Accounts, get_account
from greenline.channels.whatsapp.delivery import Fact, raise_states
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.inbox import Inbox
from greenline.channels.whatsapp.outbound import (
    MarketingStopped,
    OutboundMessage,
    start_outbound,
)
from greenline.channels.whatsapp.people import learn, open_chat, send_on
from greenline.channels.whatsapp.recipient import InvalidRecipient
from greenline.channels.whatsapp.template_models import (
    TemplateMismatch,
    TemplateNotFound,
    TemplateUnusable,
)
from greenline.channels.whatsapp.template_params import TemplateComponent
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.mailbox import Mailboxes
from greenline.store.pool import Pool, Record
from greenline.store.vault import Vault, open_vault
from greenline.workspaces.environments import EnvironmentNotFound
from support.graph_stand_in import NUMBER, TOKEN, WABA, GraphStandIn, meta_error
from support.rows import WORKSPACE, insert_workspace
from support.scripted import scripted
from support.wait import until

PARAMS: TypeAdapter[list[TemplateComponent]] = TypeAdapter(list[TemplateComponent])
WELCOME: dict[str, Any] = {
    "id": "1",
    "name": "welcome",
    "language": "en",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Hello {{1}}!"}],
}
GIVEN = [{"type": "body", "parameters": [{"text": "Ann"}]}]


@dataclass
class World:
    """A connected number with a template and an agent."""

    pool: Pool
    clock: ManualClock
    meta: GraphStandIn
    vault: Vault
    templates: Templates
    inbox: Inbox
    agent_id: str

    async def start(self, **more: Any) -> str:
        values = {
            "phone_number_id": NUMBER,
            "user_id": "15551230000",
            "template_name": "welcome",
            "template_language": "en",
            "template_params": GIVEN,
            "agent_id": self.agent_id,
            "initiation": {},
            **more,
        }
        values["template_params"] = PARAMS.validate_python(values["template_params"])
        values["initiation"] = InitiationData.model_validate(values["initiation"])
        message = OutboundMessage(**values)
        return await start_outbound(self.pool, self.vault, self.templates, self.clock, WORKSPACE, message)

    async def row(self, table: str) -> Record:
        rows = await self.pool.fetch(f"select * from {table}")
        assert len(rows) == 1
        return rows[0]

    async def reply(self, wa_id: str | None, bsuid: str | None = None) -> str:
        """The chat in which a reply of this person lands."""
        ids = {key: value for key, value in (("from", wa_id), ("from_user_id", bsuid)) if value}
        message = {"id": "wamid.IN", **ids, "timestamp": "1790000000", "type": "text", "text": {"body": "Hi"}}
        value = {"metadata": {"phone_number_id": NUMBER}, "messages": [message]}
        entry = {"id": WABA, "changes": [{"field": "messages", "value": value}]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        await self.inbox.accept(body)
        return str(await self.pool.fetchval("select mailbox_id from inbox"))

    def template_reads(self) -> int:
        return sum("message_templates" in asked for asked in self.meta.asked)


@pytest.fixture
async def world(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[World]:
    await insert_workspace(pool, clock.now())
    meta = GraphStandIn(templates=[WELCOME, {**WELCOME, "language": "de"}, {**WELCOME, "name": "welcome_back"}])
    async with scripted(meta) as server:
        changed = settings.model_copy(update={"graph_url": server.url})
        graph, vault = GraphClient(changed), open_vault(changed)
        accounts = Accounts(pool, graph, vault, clock, changed)
        await accounts.import_number(WORKSPACE, AccountImport(WABA, NUMBER, access_token=TOKEN))
        agent_id = await agents.create(pool, clock, WORKSPACE, AgentDefinition(), name="Rosie")
        templates = Templates(pool, graph, vault, clock, changed)
        yield World(pool, clock, meta, vault, templates, Inbox(pool, clock, vault), agent_id)
        await graph.aclose()


async def test_it_begins_though_it_meets_the_sender_on_the_rows_of_both(world: World) -> None:
    """The sender has the number and then the chat, a start the chat and then the number: one of them is undone."""
    await world.start()
    outbox, now = await world.row("outbox"), world.clock.now()

    async def waiting() -> bool:
        return await waiting_for_locks(world.pool) == 1

    async def meet() -> bool:
        """Whether it was the start that was undone: who waits longer, unless a busy machine took a second here."""
        try:
            async with world.pool.acquire() as sender, sender.transaction():
                await sender.execute("select from mailbox where id = $1 for update", f"sender:{NUMBER}")
                starts.append(asyncio.create_task(world.start()))
                await until(waiting)
                await sender.execute("update whatsapp_chat set pair_clock = $2 where id = $1", outbox["chat_id"], now)
        except asyncpg.DeadlockDetectedError:
            return False
        return True

    starts: list[asyncio.Task[str]] = []
    while not await meet():
        await asyncio.gather(*starts)
    await asyncio.gather(*starts)
    assert await world.pool.fetchval("select count(*) from conversation") == 1 + len(starts)


async def test_the_conversation_begins_with_the_rendered_template_and_waits(world: World) -> None:
    conversation_id = await world.start(initiation={"dynamic_variables": {"customer": "Ann"}})
    row = await world.row("conversation")
    assert row["id"] == conversation_id
    assert (row["status"], row["direction"], row["source"]) == ("initiated", "outbound", "whatsapp")
    assert row["awaiting_first_user_message"]
    assert row["accepted_at"] is None
    assert row["initiation"] == {"dynamic_variables": {"customer": "Ann"}}
    assert (row["message_count"], row["last_seq"]) == (1, 2)
    started, said = await world.pool.fetch("select * from conversation_event order by seq")
    assert (started["kind"], started["seq"]) == ("started", 1)
    variables = started["data"]["variables"]
    assert variables["customer"] == "Ann"
    assert (variables["system__caller_id"], variables["system__called_number"]) == (NUMBER, "15551230000")
    assert (said["kind"], said["data"]["text"], said["data"]["origin"]) == ("agent_message", "Hello Ann!", "template")
    assert said["data"]["template"]["name"] == "welcome"


async def test_the_template_is_queued_and_the_sender_rung(world: World) -> None:
    conversation_id = await world.start()
    row = await world.row("outbox")
    assert (row["kind"], row["state"], row["conversation_id"]) == ("template", "queued", conversation_id)
    assert row["body"] == {
        "type": "template",
        "template": {
            "name": "welcome",
            "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}],
        },
    }
    said = await world.pool.fetchval("select data from conversation_event where kind = 'agent_message'")
    assert said["outbox_ids"] == [row["id"]]
    mailbox = await world.row("mailbox")
    assert (mailbox["id"], mailbox["kind"], mailbox["due_at"]) == (f"sender:{NUMBER}", "sender", world.clock.now())


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("15551230000", "15551230000"),
        ("551187654321", "5511987654321"),
        ("5511987654321", "551187654321"),
        ("525512345678", "5215512345678"),
        ("541123456789", "5491123456789"),
    ],
)
async def test_a_reply_joins_under_every_alias(world: World, asked: str, written: str) -> None:
    await world.start(user_id=asked)
    chat = await world.row("whatsapp_chat")
    assert await world.reply(written) == chat["id"]


async def test_a_reply_joins_by_scoped_id(world: World) -> None:
    await world.start(user_id="US.13")
    chat = await world.row("whatsapp_chat")
    assert (chat["wa_id"], chat["bsuid"]) == (None, "US.13")
    assert await world.reply("15551230000", "US.13") == chat["id"]


async def test_a_person_who_wrote_before_keeps_their_chat(world: World) -> None:
    chat_id = await world.reply("5511987654321", "BR.7")
    await world.start(user_id="551187654321")
    assert (await world.row("whatsapp_chat"))["id"] == chat_id
    assert (await world.row("conversation"))["chat_id"] == chat_id


async def test_a_second_template_begins_a_second_conversation_in_the_same_chat(world: World) -> None:
    first, second = await world.start(), await world.start()
    assert first != second
    assert await world.pool.fetchval("select count(distinct chat_id) from conversation") == 1
    assert await world.pool.fetchval("select arrivals from mailbox") == 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"phone_number_id": "999"}, AccountNotFound),
        ({"agent_id": "agent_none"}, AgentNotFound),
        ({"initiation": {"branch_id": "agtbrch_none"}}, BranchNotFound),
        ({"initiation": {"environment": "staging"}}, EnvironmentNotFound),
        (
            {"initiation": {"conversation_config_override": {"agent": {"first_message": "x"}}}},
            OverrideNotAllowed,
        ),
        ({"initiation": {"custom_llm_extra_body": {"a": 1}}}, OverrideNotAllowed),
        ({"user_id": "+15551230000"}, InvalidRecipient),
        ({"template_name": "goodbye"}, TemplateNotFound),
        ({"template_language": "fr"}, TemplateNotFound),
        ({"template_params": []}, TemplateMismatch),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_is_kept(
    world: World, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await world.start(**change)
    for table in ("conversation", "outbox", "mailbox", "whatsapp_chat"):
        assert await world.pool.fetchval(f"select count(*) from {table}") == 0


@pytest.mark.parametrize("named", [{"environment": "production"}, {"environment": "", "branch_id": ""}])
async def test_production_may_be_named_and_an_empty_name_is_none(world: World, named: dict[str, str]) -> None:
    await world.start(initiation=named)
    assert (await world.row("conversation"))["environment"] == "production"


async def test_a_dead_token_is_told_at_once(world: World) -> None:
    account = await get_account(world.pool, WORKSPACE, NUMBER)
    token = open_token(world.vault, WORKSPACE, NUMBER, account.sealed_token)
    await mark_token_expired(world.pool, token, world.clock.now())
    with pytest.raises(TokenExpired):
        await world.start()


async def test_templates_are_kept_for_a_while(world: World) -> None:
    await world.start()
    await world.start()
    assert world.template_reads() == 1
    world.clock.advance(timedelta(minutes=6))
    await world.start()
    assert world.template_reads() == 2


async def test_news_of_a_template_make_it_be_read_again(world: World) -> None:
    await world.start()
    payload = {
        "field": "message_template_status_update",
        "business_account_id": WABA,
        "value": {"event": "PAUSED", "message_template_name": "welcome"},
    }
    async with world.pool.acquire() as connection:
        await apply_account_event(connection, None, "template", payload)
    await world.start()
    assert world.template_reads() == 2


async def test_a_template_that_was_edited_is_read_again_before_it_is_refused(world: World) -> None:
    await world.start()
    world.meta.templates[0] = {**WELCOME, "components": [{"type": "BODY", "text": "Hello {{1}} and {{2}}!"}]}
    both = [{"type": "body", "parameters": [{"text": "Ann"}, {"text": "Bob"}]}]
    await world.start(template_params=both)
    assert world.template_reads() == 2


@pytest.mark.parametrize(
    ("status", "code"), [("PENDING", 132001), ("REJECTED", 132001), ("PAUSED", 132015), ("DISABLED", 132016)]
)
async def test_a_template_that_would_not_arrive_is_refused_until_it_is_approved(
    world: World, status: str, code: int
) -> None:
    world.meta.templates[0] = {**WELCOME, "status": status}
    with pytest.raises(TemplateUnusable, match=status) as caught:
        await world.start()
    assert caught.value.detail()["meta_code"] == code
    world.meta.templates[0] = WELCOME
    await world.start()


async def test_the_other_languages_are_named(world: World) -> None:
    with pytest.raises(TemplateNotFound, match="de, en, not in en_US"):
        await world.start(template_language="en_US")


async def test_when_meta_cant_be_asked_the_caller_may_try_again(world: World) -> None:
    world.meta.refuse["GET message_templates"] = meta_error(2, 503)
    with pytest.raises(MetaUnavailable):
        await world.start()
    assert not (await get_account(world.pool, WORKSPACE, NUMBER)).is_token_expired


async def test_who_stopped_marketing_gets_none(world: World) -> None:
    await world.reply("15551230000")
    await world.pool.execute("update whatsapp_chat set marketing_stopped = true")
    await world.start()
    world.meta.templates[0] = {**WELCOME, "category": "MARKETING"}
    world.clock.advance(timedelta(hours=1))
    with pytest.raises(MarketingStopped) as caught:
        await world.start()
    assert caught.value.detail()["meta_code"] == 131050
    assert await world.pool.fetchval("select count(*) from conversation") == 1


async def waiting_for_locks(pool: Pool) -> int:
    """How many statements wait for a lock that another has."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return int(await pool.fetchval(query))


async def test_a_failed_opening_is_told_in_the_order_of_locks_that_turns_have(world: World) -> None:
    """Turns, and who joins chats, have the mailbox before conversations and messages: else both might wait."""
    await world.start()
    outbox = await world.row("outbox")
    await world.pool.execute(
        "insert into mailbox(id, workspace_id, kind) values ($1, $2, 'chat')", outbox["chat_id"], WORKSPACE
    )
    fact = Fact(outbox["id"], "failed", world.clock.now(), wamid="wamid.1", error={"code": 131026})

    async with world.pool.acquire() as turn, turn.transaction():
        await turn.execute("select from mailbox where id = $1 for update", outbox["chat_id"])
        telling = asyncio.create_task(raise_states(world.pool, [fact], world.clock.now()))
        await until(lambda: waiting_for_locks(world.pool))
        await turn.execute("select from conversation where id = $1 for update nowait", outbox["conversation_id"])
        await turn.execute("select from outbox where id = $1 for update nowait", outbox["id"])
    await telling

    assert await world.pool.fetchval("select state from outbox") == "failed"
    assert await world.pool.fetchval("select due_at from mailbox where kind = 'chat'") == world.clock.now()


async def test_a_failed_opening_is_told_where_its_chat_was_joined_to_meanwhile(world: World) -> None:
    await world.start()
    outbox, now = await world.row("outbox"), world.clock.now()
    asked = outbox["chat_id"]
    async with world.pool.acquire() as connection:
        theirs, _ = await open_chat(connection, WORKSPACE, NUMBER, wa_id=None, bsuid="US.1", now=now)
    for chat_id in (asked, theirs):
        await world.pool.execute(
            "insert into mailbox(id, workspace_id, kind) values ($1, $2, 'chat')", chat_id, WORKSPACE
        )
    fact = Fact(outbox["id"], "failed", now, wamid="wamid.1", error={"code": 131026})

    async def waiting(count: int) -> bool:
        return await waiting_for_locks(world.pool) == count

    async with world.pool.acquire() as turn, turn.transaction():
        await turn.execute("select from mailbox where id = $1 for update", asked)
        ids = {"wa_id": "15551230000", "bsuid": "US.1"}
        joining = asyncio.create_task(learn(world.pool, WORKSPACE, NUMBER, asked, **ids, now=now))
        await until(lambda: waiting(1))
        telling = asyncio.create_task(raise_states(world.pool, [fact], now))
        await until(lambda: waiting(2))
    await asyncio.gather(joining, telling)
    assert await world.pool.fetchval("select joined_to from whatsapp_chat where id = $1", asked) == theirs
    # Somebody has looked at it when it was joined, before the failure was told.
    await world.pool.execute("update mailbox set due_at = null where id = $1", theirs)

    (claim,) = await Mailboxes(world.pool, lease_seconds=15).claim("me", "chat", now, 10)
    assert claim.mailbox_id == asked
    await send_on(world.pool, claim, theirs, now)
    assert await world.pool.fetchval("select due_at from mailbox where id = $1", theirs) == now
