"""Numbers: connected, changed, checked, removed."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition, AgentNotFound
from greenline.channels.whatsapp.account_checks import TokenWatch, mark_token_expired
from greenline.channels.whatsapp.account_events import apply_account_event
from greenline.channels.whatsapp.account_models import (
    Account,
    AccountChanges,
    AccountImport,
    AccountNotFound,
    MetaRefused,
    MetaUnavailable,
    NumberOfAnotherAccount,
    NumberTaken,
)
from greenline.channels.whatsapp.accounts import (
    Accounts,
    AppUnknown,
    UnreadableToken,
    get_account,
    list_accounts,
)
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_token import NumberToken, open_token
from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.mailbox import ring
from greenline.store.pool import Pool
from greenline.store.vault import Vault, open_vault
from support.graph_stand_in import IMPORT, NUMBER, TOKEN, WABA, GraphStandIn, meta_error
from support.rows import WORKSPACE, insert_workspace
from support.scripted import scripted
from support.wait import until

OTHER = "ws_2"
WANTED = AccountImport(business_account_id=WABA, phone_number_id=NUMBER, access_token=TOKEN)


@dataclass
class World:
    """The service, and Meta's side of it."""

    accounts: Accounts
    meta: GraphStandIn
    graph: GraphClient
    vault: Vault
    pool: Pool
    clock: ManualClock
    settings: Settings

    async def connect(self, workspace_id: str = WORKSPACE, **more: Any) -> Account:
        values = {**IMPORT, **more}
        return await self.accounts.import_number(workspace_id, AccountImport(**values))

    async def read(self, number: str = NUMBER) -> Account:
        return await get_account(self.pool, WORKSPACE, number)

    async def token(self) -> NumberToken:
        return open_token(self.vault, WORKSPACE, NUMBER, (await self.read()).sealed_token)

    async def codes(self) -> list[str]:
        return [finding.code for finding in (await self.read()).findings]

    def watch(self) -> TokenWatch:
        return TokenWatch(self.pool, self.graph, self.vault, self.clock, self.settings)


@pytest.fixture
async def world(pool: Pool, clock: ManualClock, settings: Settings) -> AsyncIterator[World]:
    await insert_workspace(pool, clock.now())
    await insert_workspace(pool, clock.now(), OTHER)
    meta = GraphStandIn()
    async with scripted(meta) as server:
        changed = settings.model_copy(update={"graph_url": server.url, "meta_app_secret": ("secret",)})
        graph, vault = GraphClient(changed), open_vault(changed)
        yield World(Accounts(pool, graph, vault, clock, changed), meta, graph, vault, pool, clock, changed)
        await graph.aclose()


async def test_an_import_reads_names_and_number_and_subscribes_the_app(world: World) -> None:
    account = await world.connect()
    assert account.business_account_name == "Rosie's Flowers"
    assert account.phone_number_name == "Rosie's"
    assert account.phone_number == "+15550001111"
    assert account.account_type == "cloud_api"
    assert account.assigned_agent_id is None
    assert account.enable_messaging
    assert not account.is_token_expired
    assert account.findings == ()
    assert world.meta.subscribed == {WABA}


async def test_the_token_lies_sealed(world: World) -> None:
    account = await world.connect()
    assert TOKEN.encode() not in account.sealed_token
    assert TOKEN not in repr(account)
    assert TOKEN not in repr(WANTED)
    assert world.vault.open(account.sealed_token, NUMBER) == TOKEN


async def test_what_is_missing_is_told_and_kept(world: World) -> None:
    world.meta.numbers[NUMBER] |= {"status": "PENDING", "webhook_configuration": {}}
    world.meta.refuse["POST subscribed_apps"] = meta_error(200, 403)
    account = await world.connect()
    expected = ["app_not_subscribed", "number_not_connected", "callback_missing"]
    assert [finding.code for finding in account.findings] == expected
    assert await world.codes() == expected


async def test_the_code_of_an_embedded_signup_is_exchanged(world: World) -> None:
    wanted = AccountImport(WABA, NUMBER, token_code="code")
    with pytest.raises(AppUnknown):
        await world.accounts.import_number(WORKSPACE, wanted)
    settings = world.settings.model_copy(update={"meta_app_id": "42"})
    world.meta.tokens.add("42|secret")
    graph = GraphClient(settings)
    accounts = Accounts(world.pool, graph, world.vault, world.clock, settings)
    world.meta.refuse["GET debug_token"] = meta_error(100)
    account = await accounts.import_number(WORKSPACE, wanted)
    await graph.aclose()
    assert world.vault.open(account.sealed_token, NUMBER) == TOKEN
    assert [finding.code for finding in account.findings] == ["token_not_checked"]


async def test_a_number_is_in_one_workspace(world: World) -> None:
    await world.connect(OTHER)
    asked = len(world.meta.asked)
    with pytest.raises(NumberTaken):
        await world.connect()
    assert len(world.meta.asked) == asked
    with pytest.raises(AccountNotFound):
        await world.read()
    assert await list_accounts(world.pool, WORKSPACE) == []


async def test_an_import_that_meta_refuses_leaves_nothing(world: World) -> None:
    with pytest.raises(MetaRefused) as caught:
        await world.connect(access_token="EAAdead")
    assert caught.value.detail()["meta_code"] == 190
    with pytest.raises(NumberOfAnotherAccount):
        await world.connect(phone_number_id="999")
    with pytest.raises(MetaRefused):
        await world.connect(business_account_id="8888")
    with pytest.raises(UnreadableToken):
        await world.connect(access_token="EAA with\nbreak")
    assert await world.pool.fetchval("select count(*) from whatsapp_account") == 0


async def test_a_new_token_revives_a_number_and_keeps_its_agent_and_switches(world: World) -> None:
    await world.connect()
    agent_id = await agents.create(world.pool, world.clock, WORKSPACE, AgentDefinition(), name="Rosie")
    changes = AccountChanges(changes_agent=True, assigned_agent_id=agent_id, enable_typing_indicator=False)
    await world.accounts.update(WORKSPACE, NUMBER, changes)
    await mark_token_expired(world.pool, await world.token(), world.clock.now())
    assert (await world.read()).is_token_expired
    assert await world.codes() == ["token_expired"]
    world.meta.tokens.add("EAAnew")
    account = await world.connect(access_token="EAAnew")
    assert not account.is_token_expired
    assert account.findings == ()
    assert (account.assigned_agent_id, account.assigned_agent_name) == (agent_id, "Rosie")
    assert not account.enable_typing_indicator
    assert world.vault.open(account.sealed_token, NUMBER) == "EAAnew"


async def test_a_number_keeps_its_type_unless_the_import_names_another(world: World) -> None:
    assert (await world.connect(account_type="coexistence")).account_type == "coexistence"
    assert (await world.connect()).account_type == "coexistence"
    assert (await world.connect(account_type="cloud_api")).account_type == "cloud_api"


async def test_an_import_that_loses_a_deadlock_is_repeated(world: World, dsn: str) -> None:
    await world.connect()
    await ring(
        world.pool, mailbox_id=f"sender:{NUMBER}", workspace_id=WORKSPACE, kind="sender", due_at=world.clock.now()
    )
    world.meta.tokens.add("EAAnew")
    other = await asyncpg.connect(dsn)
    try:
        await other.execute("set deadlock_timeout = '1min'")  # it is the import that finds the deadlock, and loses it
        async with other.transaction():
            await other.execute("select from whatsapp_account for update")
            importing = asyncio.create_task(world.connect(access_token="EAAnew"))

            async def waits() -> bool:
                return bool(await world.pool.fetchval("select count(*) > 0 from pg_locks where not granted"))

            await until(waits)
            await other.execute("update mailbox set arrivals = arrivals + 1")
        assert world.vault.open((await importing).sealed_token, NUMBER) == "EAAnew"
    finally:
        await other.close()


async def test_changes_touch_only_what_they_name(world: World) -> None:
    await world.connect()
    agent_id = await agents.create(world.pool, world.clock, WORKSPACE, AgentDefinition(), name="Rosie")
    await world.accounts.update(WORKSPACE, NUMBER, AccountChanges(changes_agent=True, assigned_agent_id=agent_id))
    await world.accounts.update(WORKSPACE, NUMBER, AccountChanges(enable_messaging=False))
    account = await world.read()
    assert (account.assigned_agent_id, account.enable_messaging) == (agent_id, False)
    assert [found.phone_number_id for found in await list_accounts(world.pool, WORKSPACE, agent_id)] == [NUMBER]
    assert await list_accounts(world.pool, WORKSPACE, "agent_other") == []
    await world.accounts.update(WORKSPACE, NUMBER, AccountChanges(changes_agent=True))
    account = await world.read()
    assert (account.assigned_agent_id, account.enable_messaging) == (None, False)


async def test_agents_and_numbers_of_others_are_not_found(world: World) -> None:
    await world.connect()
    agent_id = await agents.create(world.pool, world.clock, OTHER, AgentDefinition(), name="Other")
    for unknown in (agent_id, "agent_none", ""):
        with pytest.raises(AgentNotFound):
            await world.accounts.update(
                WORKSPACE, NUMBER, AccountChanges(changes_agent=True, assigned_agent_id=unknown)
            )
    with pytest.raises(AccountNotFound):
        await world.accounts.update(OTHER, NUMBER, AccountChanges(enable_messaging=False))
    with pytest.raises(AccountNotFound):
        await world.accounts.delete(OTHER, NUMBER)
    assert (await world.read()).enable_messaging


async def test_the_last_number_of_a_business_account_unsubscribes_the_app(world: World) -> None:
    world.meta.numbers["999"] = {**world.meta.numbers[NUMBER], "id": "999"}
    await world.connect()
    await world.connect(OTHER, phone_number_id="999")
    await world.accounts.delete(WORKSPACE, NUMBER)
    assert world.meta.subscribed == {WABA}
    await world.accounts.delete(OTHER, "999")
    assert world.meta.subscribed == set()


async def test_a_removal_during_an_import_does_not_leave_the_account_unsubscribed(world: World) -> None:
    world.meta.numbers["999"] = {**world.meta.numbers[NUMBER], "id": "999"}
    world.meta.meanwhile["GET 999"] = world.meta.subscribed.clear  # the last number that was there is removed
    await world.connect(phone_number_id="999")
    assert world.meta.subscribed == {WABA}


async def test_an_import_during_a_removal_does_not_leave_the_account_unsubscribed(world: World) -> None:
    await world.connect()
    again: list[asyncio.Task[Account]] = []
    world.meta.meanwhile["DELETE subscribed_apps"] = lambda: again.append(asyncio.create_task(world.connect()))
    await world.accounts.delete(WORKSPACE, NUMBER)
    await asyncio.gather(*again)
    assert world.meta.subscribed == {WABA}


async def test_a_dead_token_does_not_keep_a_number(world: World) -> None:
    await world.connect()
    world.meta.tokens.clear()
    await world.accounts.delete(WORKSPACE, NUMBER)
    with pytest.raises(AccountNotFound):
        await world.read()


def inbound(wamid: str) -> bytes:
    message = {"id": wamid, "from": "15551230000", "timestamp": "1790000000", "type": "text", "text": {"body": "Hi"}}
    value = {"metadata": {"phone_number_id": NUMBER}, "messages": [message]}
    entry = {"id": WABA, "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def test_a_removed_number_leaves_its_conversations_ended_and_no_work(world: World, dsn: str) -> None:
    await world.connect()
    agent_id = await agents.create(world.pool, world.clock, WORKSPACE, AgentDefinition())
    inbox = Inbox(world.pool, world.clock, world.vault)
    await inbox.accept(inbound("wamid.1"))
    chat_id = await world.pool.fetchval("select id from whatsapp_chat")
    now = world.clock.now()
    await world.pool.execute(
        """insert into conversation(id, workspace_id, agent_id, branch_id, version_id, source, text_only, chat_id,
             phone_number_id, status, started_at)
           values ('conv_1', $1, $2, 'b', 'v', 'whatsapp', true, $3, $4, 'in-progress', $5)""",
        WORKSPACE,
        agent_id,
        chat_id,
        NUMBER,
        now,
    )
    await world.pool.execute(
        """insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, due_at,
             created_at)
           values ('out_1', $1, $2, $3, 'conv_1', 'text', '{}', $4, $4)""",
        WORKSPACE,
        NUMBER,
        chat_id,
        now,
    )
    await world.accounts.delete(WORKSPACE, NUMBER)
    conversation = await world.pool.fetchrow("select status, termination_reason from conversation")
    assert conversation is not None
    assert (conversation["status"], conversation["termination_reason"]) == (
        "done",
        "The WhatsApp account was removed",
    )
    kinds = await world.pool.fetch("select kind from conversation_event order by seq")
    assert [row["kind"] for row in kinds] == ["delivery", "ended"]
    assert await world.pool.fetchval("select state from outbox") == "failed"
    assert await world.pool.fetchval("select count(*) from mailbox") == 0
    assert await world.pool.fetchval("select count(*) from inbox where done_at is null") == 0

    await world.connect()
    await inbox.accept(inbound("wamid.2"))
    assert await world.pool.fetchval("select count(*) from whatsapp_chat") == 1
    assert await world.pool.fetchval("select count(*) from mailbox") == 1


async def test_a_number_that_moves_to_another_workspace_meets_everybody_anew(world: World) -> None:
    """The same person's events must not wait in the chat of the first workspace, where nobody reads them."""
    inbox = Inbox(world.pool, world.clock, world.vault)
    await world.connect()
    await inbox.accept(inbound("wamid.1"))
    await world.accounts.delete(WORKSPACE, NUMBER)
    await world.connect(OTHER)

    await inbox.accept(inbound("wamid.2"))

    chats = await world.pool.fetch(
        """select c.workspace_id from inbox i
           join mailbox m on m.id = i.mailbox_id join whatsapp_chat c on c.id = m.id
           where i.dedupe = 'wamid.2' and m.workspace_id = i.workspace_id and c.workspace_id = i.workspace_id"""
    )
    assert [row["workspace_id"] for row in chats] == [OTHER]


async def test_a_token_is_marked_once(world: World) -> None:
    await world.connect()
    for _ in range(2):
        await mark_token_expired(world.pool, await world.token(), world.clock.now())
    assert await world.codes() == ["token_expired"]


async def test_a_token_that_was_replaced_marks_nothing(world: World) -> None:
    await world.connect()
    dead = await world.token()
    world.meta.tokens.add("EAAnew")
    await world.connect(access_token="EAAnew")
    await mark_token_expired(world.pool, dead, world.clock.now())
    assert not (await world.read()).is_token_expired
    assert await world.codes() == []


async def test_what_meta_did_not_answer_is_checked_at_the_next_look(world: World) -> None:
    await world.connect()
    world.clock.advance(timedelta(days=1, seconds=1))
    world.meta.refuse["GET subscribed_apps"] = meta_error(2, 500)
    asked = len(world.meta.asked)
    assert await world.watch().check_all(timedelta(days=1)) == 1
    assert len(world.meta.asked) == asked + 1, "once a look"
    del world.meta.refuse["GET subscribed_apps"]
    world.meta.numbers[NUMBER] |= {"quality_rating": "RED"}
    assert await world.watch().check_all(timedelta(days=1)) == 1
    assert await world.codes() == ["quality_low"]
    assert await world.watch().check_all(timedelta(days=1)) == 0


async def test_the_watch_finds_a_dead_token_and_marks_it(world: World) -> None:
    await world.connect()
    world.meta.tokens.clear()
    assert await world.watch().check_all(timedelta(minutes=10)) == 0, "checked a moment ago"
    world.clock.advance(timedelta(minutes=11))
    assert await world.watch().check_all(timedelta(minutes=10)) == 1
    assert (await world.read()).is_token_expired


async def test_the_watch_subscribes_an_app_again_and_renews_what_is_known(world: World) -> None:
    await world.connect()
    world.meta.subscribed.clear()
    world.meta.numbers[NUMBER] |= {"verified_name": "Rosie & Co", "quality_rating": "RED"}
    world.clock.advance(timedelta(days=1, seconds=1))
    assert await world.watch().check_all(timedelta(days=1)) == 1
    assert world.meta.subscribed == {WABA}
    assert await world.codes() == ["quality_low"]
    assert (await world.read()).phone_number_name == "Rosie & Co"


async def test_a_token_that_may_not_subscribe_still_sends(world: World) -> None:
    await world.connect()
    world.meta.refuse["GET subscribed_apps"] = meta_error(200, 403)
    world.clock.advance(timedelta(days=2))
    await world.watch().check_all(timedelta(days=1))
    assert not (await world.read()).is_token_expired
    assert await world.codes() == ["app_not_subscribed"]


async def test_when_meta_cant_be_asked_an_import_may_be_tried_again(world: World) -> None:
    world.meta.refuse["POST subscribed_apps"] = meta_error(2, 503)
    with pytest.raises(MetaUnavailable):
        await world.connect()
    assert await world.pool.fetchval("select count(*) from whatsapp_account") == 0


async def test_another_app_is_not_ours(world: World) -> None:
    await world.connect()
    settings = world.settings.model_copy(update={"meta_app_id": "43"})
    graph = GraphClient(settings)
    assert not await graph.is_subscribed(WABA, TOKEN)
    assert await world.graph.is_subscribed(WABA, TOKEN)
    await graph.aclose()


async def test_a_fault_of_meta_marks_nothing(world: World) -> None:
    await world.connect()
    world.meta.refuse[f"GET {NUMBER}"] = meta_error(2, 503)
    world.clock.advance(timedelta(days=2))
    await world.watch().check_all(timedelta(days=1))
    assert not (await world.read()).is_token_expired


async def test_the_watch_runs_at_its_start(world: World) -> None:
    await world.connect()
    world.meta.tokens.clear()
    world.clock.advance(timedelta(hours=1))
    watch = world.watch()
    watch.start()
    assert watch.state() == {"tokens": True}

    async def expired() -> bool:
        return (await world.read()).is_token_expired

    await until(expired)
    await watch.stop(1)
    assert watch.state() == {"tokens": False}


async def apply(world: World, field: str, kind: str = "account", **value: Any) -> None:
    payload = {"field": field, "business_account_id": WABA, "time": 1, "value": value}
    async with world.pool.acquire() as connection:
        for _ in range(2):
            await apply_account_event(connection, None, kind, payload)


async def test_a_lost_partner_is_a_dead_token(world: World) -> None:
    await world.connect()
    await apply(world, "account_update", event="PARTNER_REMOVED", waba_info={"waba_id": "8888"})
    assert not (await world.read()).is_token_expired
    await apply(world, "account_update", event="PARTNER_REMOVED", waba_info={"waba_id": WABA})
    assert (await world.read()).is_token_expired
    assert await world.codes() == ["access_lost"]


async def test_restrictions_come_and_go(world: World) -> None:
    await world.connect()
    restriction = [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}]
    await apply(world, "account_update", event="ACCOUNT_RESTRICTION", restriction_info=restriction)
    (finding,) = (await world.read()).findings
    assert "RESTRICTED_BIZ_INITIATED_MESSAGING" in finding.message
    await apply(world, "account_update", event="ACCOUNT_RECONNECTED")
    assert await world.codes() == []


async def test_an_account_that_is_connected_again_works_and_is_checked(world: World) -> None:
    await world.connect()
    await apply(world, "account_update", event="ACCOUNT_OFFBOARDED")
    assert ((await world.read()).is_token_expired, await world.codes()) == (True, ["access_lost"])
    await apply(world, "account_update", event="ACCOUNT_RECONNECTED")
    assert ((await world.read()).is_token_expired, await world.codes()) == (False, [])
    assert await world.pool.fetchval("select token_checked_at from whatsapp_account") is None


@pytest.mark.parametrize("state", ["REINSTATE", ["REINSTATE"]])
async def test_a_ban_that_is_lifted_is_no_restriction(world: World, state: Any) -> None:
    await world.connect()
    await apply(world, "account_update", event="DISABLED_UPDATE", ban_info={"waba_ban_state": "DISABLE"})
    assert await world.codes() == ["account_restricted"]
    await apply(world, "account_update", event="DISABLED_UPDATE", ban_info={"waba_ban_state": state})
    assert await world.codes() == []


async def test_what_meta_tells_of_the_account_is_a_finding(world: World) -> None:
    await world.connect()
    await apply(world, "account_review_update", decision="REJECTED")
    alert = {"alert_type": "OBA_APPROVED", "alert_status": "ACTIVE", "alert_description": "All is well"}
    await apply(world, "account_alerts", entity_type="BUSINESS", alert_info=alert)
    await apply(world, "security", event="PIN_CHANGED", display_phone_number="15550001111")
    await apply(world, "security", event="PIN_CHANGED", display_phone_number="15559999999")
    await apply(world, "business_capability_update", max_daily_conversations_per_business=2000)
    await apply(world, "messages", "errors", code=130429, title="Rate limit hit", error_data={"details": "Too fast."})
    messages = {finding.code: finding.message for finding in (await world.read()).findings}
    assert list(messages) == ["account_review", "account_alert", "security", "messaging_limit", "meta_error"]
    assert "REJECTED" in messages["account_review"]
    assert messages["account_alert"] == "Meta's alert OBA_APPROVED: All is well."
    assert "2000 different people" in messages["messaging_limit"]
    assert messages["meta_error"] == "Meta reports an error: Rate limit hit: Too fast (code 130429)."
    await apply(world, "account_review_update", decision="APPROVED")
    await apply(world, "business_capability_update", max_daily_conversations_per_business=-1)
    assert await world.codes() == ["account_alert", "security", "meta_error"]


@pytest.mark.parametrize(
    ("calling", "words"),
    [
        ({"status": "DISABLED"}, "switched off"),
        ({"status": "ENABLED", "sip": {"status": "ENABLED"}}, "over SIP"),
        ({"status": "ENABLED", "srtp_key_exchange_protocol": "SDES"}, "SDES"),
    ],
)
async def test_calling_settings_that_keep_calls_away_are_a_finding(
    world: World, calling: dict[str, Any], words: str
) -> None:
    async def change(number: str, settings: dict[str, Any]) -> None:
        told = {"phone_number_id": number, "calling": settings}
        await apply(world, "account_settings_update", type="phone_number_settings", phone_number_settings=told)

    await world.connect()
    await change("999", calling)
    assert await world.codes() == [], "the settings of another number"
    await change(NUMBER, calling)
    (finding,) = (await world.read()).findings
    assert finding.code == "calls_off"
    assert words in finding.message
    await change(NUMBER, {"status": "ENABLED", "sip": {"status": "DISABLED", "servers": []}})
    assert await world.codes() == []


async def test_names_and_quality_are_those_of_the_number(world: World) -> None:
    await world.connect()
    number = {"display_phone_number": "15550001111"}
    name = {"requested_verified_name": "Rosie & Co"}
    await apply(world, "phone_number_name_update", "number", **number, **name, decision="REJECTED")
    assert await world.codes() == ["display_name_not_approved"]
    await apply(world, "phone_number_name_update", "number", **number, **name, decision="APPROVED")
    assert await world.codes() == []
    assert (await world.read()).phone_number_name == "Rosie & Co"
    quality = {"event": "FLAGGED", "max_daily_conversations_per_business": "TIER_1K"}
    await apply(world, "phone_number_quality_update", "number", display_phone_number="15559999999", **quality)
    assert await world.codes() == []
    await apply(world, "phone_number_quality_update", "number", **number, **quality)
    assert await world.codes() == ["quality_low", "messaging_limit"]
    quality = {"event": "UNFLAGGED", "max_daily_conversations_per_business": "TIER_UNLIMITED"}
    await apply(world, "phone_number_quality_update", "number", **number, **quality)
    assert await world.codes() == []


async def test_what_meta_says_of_a_numbers_throughput_is_kept(world: World, clock: ManualClock) -> None:
    async def level() -> str | None:
        found: str | None = await world.pool.fetchval("select throughput_level from whatsapp_account")
        return found

    await world.connect()
    assert await level() is None
    world.meta.numbers[NUMBER] |= {"throughput": {"level": "STANDARD"}}
    clock.advance(timedelta(days=2))
    await world.watch().check_all(timedelta(days=1))
    assert await level() == "STANDARD"
    event = {"event": "THROUGHPUT_UPGRADE", "max_daily_conversations_per_business": "TIER_UNLIMITED"}
    await apply(world, "phone_number_quality_update", "number", display_phone_number="15550001111", **event)
    assert await level() == "HIGH"
    await world.connect()
    assert await level() == "STANDARD"


async def test_events_that_say_nothing_known_change_nothing(world: World) -> None:
    fields = {
        "account_update": "account",
        "security": "account",
        "account_alerts": "account",
        "account_settings_update": "account",
        "account_review_update": "account",
        "business_capability_update": "account",
        "phone_number_name_update": "number",
        "phone_number_quality_update": "number",
        "message_template_status_update": "template",
    }
    values: tuple[dict[str, Any], ...] = (
        {},
        {"event": []},
        {"event": "NEW"},
        {"display_phone_number": 5},
        {"phone_number_settings": {"calling": 1}},
    )
    await world.connect()
    before = await world.pool.fetch("select * from whatsapp_account")
    for (field, kind), value in itertools.product(fields.items(), values):
        await apply(world, field, kind, **value)
        assert await world.pool.fetch("select * from whatsapp_account") == before, (field, value)
