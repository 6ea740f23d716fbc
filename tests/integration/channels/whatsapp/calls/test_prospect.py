"""What a call to a person would take, by what Meta says of them and by when they last wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenline.channels.whatsapp.account_models import MetaRefused
from greenline.channels.whatsapp.accounts import get_account
from greenline.channels.whatsapp.calls.prospect import NO_TEMPLATE, Prospect, Prospects
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from support.calling import TEMPLATE, CallMeta, permitted
from support.graph_stand_in import meta_error
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace
from support.scripted import Answer, Request, scripted

QUESTION = "May we ring you?"
ANN = "15551230000"


@dataclass
class Desk:
    """Somebody who asks about calls to Ann, with ``meta`` as Meta."""

    meta: CallMeta
    ask: Callable[[datetime | None], Awaitable[Prospect]]


@pytest.fixture
async def desk(pool: Pool, clock: ManualClock, settings: Settings) -> AsyncIterator[Desk]:
    meta = CallMeta()
    async with scripted(meta) as endpoint:
        settings = settings.model_copy(update={"graph_url": endpoint.url, "call_permission_text": QUESTION})
        vault, graph = open_vault(settings), GraphClient(settings)
        await insert_workspace(pool, clock.now())
        await insert_account(pool, clock.now(), token=vault.seal("token", NUMBER))
        prospects = Prospects(Templates(pool, graph, vault, clock, settings), vault, clock, settings)

        async def ask(last_word_at: datetime | None) -> Prospect:
            account = await get_account(pool, WORKSPACE, NUMBER)
            return await prospects.of(account, wa_id=ANN, bsuid=None, last_word_at=last_word_at)

        yield Desk(meta, ask)
        await graph.aclose()


async def test_who_has_agreed_may_be_called(desk: Desk) -> None:
    assert await desk.ask(None) == Prospect(may_call=True)
    assert desk.meta.queries == [{"user_wa_id": [ANN]}]


@pytest.mark.parametrize(
    ("permission", "reason"),
    [
        (permitted("no_permission", ask=False), "limit of 1 call permission requests"),
        (permitted("temporary", call=False), "Meta allows no calls to this person now."),
    ],
)
async def test_a_limit_that_is_used_up_is_the_reason(desk: Desk, permission: dict[str, Any], reason: str) -> None:
    desk.meta.permission = permission
    found = await desk.ask(None)
    assert not found.may_call
    assert reason in found.why_not


async def test_who_has_just_written_is_asked_by_a_message_and_others_by_a_template(
    desk: Desk, clock: ManualClock
) -> None:
    desk.meta.permission = permitted("no_permission")
    assert await desk.ask(clock.now() - timedelta(hours=23)) == Prospect(may_call=False, question=QUESTION)
    pending = {**TEMPLATE, "name": "new_one", "status": "PENDING"}
    plain = {**TEMPLATE, "name": "hello", "components": [{"type": "BODY", "text": "Hello"}]}
    desk.meta.templates = [pending, plain, TEMPLATE]
    for last_word_at in (None, clock.now() - timedelta(hours=25)):
        found = await desk.ask(last_word_at)
        assert [one.name for one in found.templates] == ["may_we_call"]
        assert (found.question, found.why_not) == ("", "")


async def test_without_a_template_it_is_said_what_to_do(desk: Desk) -> None:
    desk.meta.permission, desk.meta.templates = permitted("no_permission"), []
    assert (await desk.ask(None)).why_not == NO_TEMPLATE


async def test_what_meta_refuses_is_an_error_in_its_words(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: CallMeta, request: Request) -> Answer:
        return meta_error(138013)

    monkeypatch.setattr(CallMeta, "__call__", refuse)
    with pytest.raises(MetaRefused) as refused:
        await desk.ask(None)
    assert refused.value.extra["meta_code"] == 138013
