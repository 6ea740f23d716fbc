"""The WhatsApp numbers of the workspace: how they are, which agent answers, whether it may."""

from __future__ import annotations

from typing import Final

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from greenline.channels.whatsapp.account_models import Account, AccountChanges
from greenline.channels.whatsapp.accounts import Accounts, list_accounts
from greenline.errors import GreenlineError
from greenline.store.sql import load_sql
from greenline.web.console_frame import Visit
from greenline.web.parts import Tag, box

NOBODY: Final = ""
_sql = load_sql(__package__, "console.sql")


async def draw(visitor: Visit) -> None:
    """Draw the numbers."""
    pool, workspace = visitor.services.pool, visitor.workspace
    accounts = await list_accounts(pool, workspace.id)
    rows = await pool.fetch(_sql["agent_names"], workspace.id)
    agents = {NOBODY: "Nobody answers", **{row["id"]: row["name"] for row in rows}}
    Tag("h1", "Numbers", "gl-h1")
    if not accounts:
        Tag("div", "No number yet. Import one with POST /v1/convai/whatsapp-accounts; see /docs.", "gl-empty")
    for account in accounts:
        _draw_account(visitor, account, agents)


def _draw_account(visitor: Visit, account: Account, agents: dict[str, str]) -> None:
    async def change(changes: AccountChanges) -> None:
        if not await visitor.is_allowed():
            ui.navigate.to("/console")
            return
        services = visitor.services
        accounts = Accounts(services.pool, services.graph, services.vault, services.clock, services.settings)
        try:
            await accounts.update(visitor.workspace.id, account.phone_number_id, changes)
        except GreenlineError as error:
            ui.notify(error.message, type="negative")
        else:
            ui.notify("Saved.", type="positive")

    async def assign(event: ValueChangeEventArguments[str]) -> None:
        await change(AccountChanges(changes_agent=True, assigned_agent_id=event.value or None))

    async def switch_messaging(event: ValueChangeEventArguments[bool | None]) -> None:
        await change(AccountChanges(enable_messaging=event.value))

    async def switch_voice(event: ValueChangeEventArguments[bool | None]) -> None:
        await change(AccountChanges(enable_audio_message_response=event.value))

    async def switch_typing(event: ValueChangeEventArguments[bool | None]) -> None:
        await change(AccountChanges(enable_typing_indicator=event.value))

    with box("gl-card gl-number"):
        with box("gl-head-row"):
            Tag("h2", account.phone_number_name or account.phone_number, "gl-h2")
            Tag("span", account.phone_number, "gl-soft")
            expired = account.is_token_expired
            Tag(
                "span",
                "token expired" if expired else "token valid",
                f"gl-chip status-{'failed' if expired else 'done'}",
            )
        Tag("div", f"{account.business_account_name} · number {account.phone_number_id}", "gl-soft gl-small")
        for finding in account.findings:
            Tag("div", finding.message, "gl-warning")
        # The agent may be one of more than the list holds.
        assigned = account.assigned_agent_id or NOBODY
        choices = agents if assigned in agents else {**agents, assigned: account.assigned_agent_name or assigned}
        ui.select(choices, value=assigned, label="Agent that answers", on_change=assign).classes("gl-select")
        ui.switch("Answer messages", value=account.enable_messaging, on_change=switch_messaging)
        speaks = account.enable_audio_message_response
        ui.switch("Answer voice notes by voice notes", value=speaks, on_change=switch_voice)
        ui.switch("Show that the agent is typing", value=account.enable_typing_indicator, on_change=switch_typing)
