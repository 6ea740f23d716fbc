"""Calls as the database keeps them: what must outlive the process that holds a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal, cast

from greenline.channels.whatsapp.calls.events import Ending, PermissionState
from greenline.channels.whatsapp.calls.machine import Call, Permission, Phase
from greenline.channels.whatsapp.calls.texts import return_texts
from greenline.conversations.events import CallCharged, Event, dump_event
from greenline.conversations.projection import Projection, read_projection
from greenline.ids import new_id
from greenline.store.mailbox import Claim, LeaseLost
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql

sql = load_sql(__package__, "calls.sql")


@dataclass(frozen=True, slots=True)
class CallRow:
    """A row of table ``whatsapp_call``."""

    id: str
    workspace_id: str
    phone_number_id: str
    chat_id: str
    mailbox_id: str
    direction: Literal["inbound", "outbound"]
    phase: str
    created_at: datetime
    conversation_id: str | None = None
    wacid: str | None = None
    request: dict[str, Any] = field(default_factory=dict, repr=False)
    request_outbox_id: str | None = None
    permission_state: PermissionState | None = None
    permission_permanent: bool | None = None
    permission_by_users_call: bool | None = None
    permission_requested_at: datetime | None = None
    permission_responded_at: datetime | None = None
    result: str | None = None
    reason: str | None = None
    error_code: int | None = None
    talk_seconds: int | None = None
    hang_up: Ending | None = None
    """What Meta has still to be told, once the call has ended here."""
    statistics: dict[str, Any] | None = None
    picked_up_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def call(self) -> Call:
        """The call as the state machine goes on with it, without the media that died with its process."""
        return Call(
            self.direction,
            Phase(self.phase),
            wacid=self.wacid,
            picked_up=self.picked_up_at is not None,
            permission=Permission(self.permission_state, self.permission_permanent, self.permission_by_users_call),
            owes=self.hang_up,
        )

    def after(self, call: Call, now: datetime) -> CallRow:
        """The row of the call as the state machine has it at ``now``."""
        permission, outcome = call.permission, call.outcome if call.phase is Phase.ENDED else None
        responded = permission.state in ("accepted", "declined")
        return replace(
            self,
            phase=call.phase.value,
            wacid=call.wacid,
            permission_state=permission.state,
            permission_permanent=permission.permanent,
            permission_by_users_call=permission.by_users_call,
            permission_requested_at=self.permission_requested_at or (now if permission.state == "sent" else None),
            permission_responded_at=self.permission_responded_at or (now if responded else None),
            picked_up_at=self.picked_up_at or (now if call.phase is Phase.ACTIVE else None),
            result=outcome.result if outcome else self.result,
            reason=outcome.reason if outcome else self.reason,
            error_code=outcome.code if outcome else self.error_code,
            hang_up=call.owes,
            ended_at=self.ended_at or (now if outcome else None),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A number and, where it is known, the person at the other end."""

    workspace_id: str
    phone_number_id: str
    phone_number: str
    token: bytes = field(repr=False)
    is_token_expired: bool
    assigned_agent_id: str | None
    chat_id: str | None
    wa_id: str | None = field(repr=False)
    bsuid: str | None = field(repr=False)

    @property
    def user_id(self) -> str:
        """The person as ``whatsapp_user_id`` names them."""
        return self.wa_id or self.bsuid or ""


class CallStore:
    """The statements on calls. Writes of a call's holder raise `LeaseLost` when another has taken it over."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of_mailbox(self, claim: Claim) -> CallRow | None:
        """The call whose mailbox is claimed."""
        data = await self._pool.fetchval(sql["of_mailbox"], claim.workspace_id, claim.mailbox_id)
        return None if data is None else _row(data)

    async def mailbox_of(self, workspace_id: str, wacid: str, call_id: str | None = None) -> str | None:
        """The mailbox of the call that Meta knows by ``wacid``, or of the one with our id."""
        return cast("str | None", await self._pool.fetchval(sql["by_id"], workspace_id, wacid, call_id))

    async def line(self, workspace_id: str, phone_number_id: str, chat_id: str | None = None) -> Line | None:
        """The number, and the person of ``chat_id``; None when the account was removed."""
        row = await self._pool.fetchrow(sql["line"], workspace_id, phone_number_id, chat_id)
        return None if row is None else Line(**dict(row))

    async def save(self, claim: Claim, row: CallRow, done: Sequence[int], now: datetime) -> None:
        """Write the row, and that the inbox items ``done`` are dealt with."""
        held = await self._pool.fetchval(
            sql["save"], claim.workspace_id, claim.mailbox_id, claim.epoch, asdict(row), list(done), now
        )
        if held is None:
            raise LeaseLost(claim.mailbox_id)
        if row.phase == Phase.ACTIVE.value and row.direction == "outbound" and row.picked_up_at == now:
            await open_window(self._pool, row, now)

    async def set_done(self, claim: Claim, reason: str, now: datetime) -> None:
        """What the mailbox holds belongs to no call."""
        ids = [item.id for item in claim.items]
        await self._pool.execute(sql["set_done"], claim.workspace_id, claim.mailbox_id, ids, now, reason)

    async def forward(self, connection: Connection, claim: Claim, mailbox_id: str) -> None:
        """Give what the mailbox holds to another one of the same call."""
        ids = [item.id for item in claim.items]
        await connection.execute(sql["forward"], claim.workspace_id, claim.mailbox_id, ids, mailbox_id)

    async def return_texts(self, row: CallRow, now: datetime) -> None:
        """What the person wrote during the call and the agent did not hear any more is answered in the chat."""
        await return_texts(self._pool, row.workspace_id, row.chat_id, row.mailbox_id, now)

    async def note(self, workspace_id: str, conversation_id: str, event: Event, now: datetime) -> None:
        """Append ``event`` to a journal that somebody else writes too, if no event of its kind says the same."""
        await self._pool.execute(sql["note"], workspace_id, conversation_id, event.kind, dump_event(event), now)

    async def charge(self, row: CallRow, event: CallCharged, now: datetime) -> None:
        """Write down what the call of a conversation cost, if that is news."""
        await self._pool.execute(
            sql["charge"], row.workspace_id, row.conversation_id, event.kind, dump_event(event), now
        )

    async def conversation(self, row: CallRow) -> Projection | None:
        """The conversation of a call."""
        data = await self._pool.fetchval(sql["conversation"], row.workspace_id, row.conversation_id)
        return None if data is None else read_projection(data)

    async def request_state(self, row: CallRow) -> tuple[str, dict[str, Any]] | None:
        """State and error of the request for permission; None when there is none in the outbox."""
        found = await self._pool.fetchrow(sql["request_state"], row.workspace_id, row.request_outbox_id)
        return None if found is None else (found["state"], found["error"] or {})


async def open_window(connection: Connection | Pool, row: CallRow, now: datetime) -> None:
    """From now on free messages to the person of a call are allowed for a day."""
    await connection.execute(sql["open_window"], row.workspace_id, row.chat_id, now)


async def insert_call(connection: Connection | Pool, row: CallRow) -> bool:
    """Write a new call; False when its mailbox has one."""
    return await connection.fetchval(sql["begin"], row.workspace_id, asdict(row)) is not None


async def forget_calls(pool: Pool, before: datetime) -> int:
    """Delete calls that ended before a moment; returns how many."""
    return int(await pool.fetchval(sql["forget_old"], before))


def new_call_id() -> str:
    """An id of ours for a call."""
    return new_id("call")


_MOMENTS = frozenset({"created_at", "permission_requested_at", "permission_responded_at", "picked_up_at", "ended_at"})
_COLUMNS = tuple(column.name for column in fields(CallRow))


def _row(data: dict[str, Any]) -> CallRow:
    values = {name: data[name] for name in _COLUMNS}
    moments = {name: datetime.fromisoformat(values[name]) for name in _MOMENTS if values[name]}
    return CallRow(**{**values, **moments})
