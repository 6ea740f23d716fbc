"""What happens behind a chat, step by step: the emulator's log of the wire, and what the server has written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from greenline.conversations.events import waits_in_order
from greenline.store.pool import Pool, Record
from greenline.store.sql import load_sql

Side: TypeAlias = Literal["person", "webhook", "turn", "model", "speech", "tool", "graph", "status", "fault"]

LIMIT: Final = 200
"""Steps of each kind that are read: about the last forty messages."""
_sql = load_sql(__package__, "trace.sql")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened. ``at`` is Unix time in seconds; ``rank``, then ``key`` order the same moment."""

    key: str
    at: float
    side: Side
    title: str
    note: str = ""
    bad: bool = False
    rank: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Caption:
    """Something that was said in a call."""

    id: str
    who: Literal["person", "agent"]
    text: str


class Inside:
    """The server's own notes about the chat of one person with one number.

    ``is_waiting``: of what came in, something was not dealt with, or somebody was at work on it, when the steps were
    read: more will be written down.
    """

    def __init__(self, pool: Pool, number_id: str, identifiers: Sequence[str], since: float) -> None:
        self._pool = pool
        self._number = number_id
        self._identifiers = list(identifiers)
        self._since = datetime.fromtimestamp(since, UTC)
        self._chat: tuple[str, str] | None = None
        self.is_waiting = False

    async def steps(self) -> list[Step]:
        """The steps so far, in no order; none before the server knows the person."""
        if self._chat is None:
            self._chat = await self._find_chat()
        if self._chat is None:
            return []
        arguments = (*self._chat, self._since, LIMIT)
        is_held = await self._pool.fetchval(_sql["is_held"], *self._chat)  # first: what is written then is read below
        received = await self._pool.fetch(_sql["inbox"], *arguments)
        self.is_waiting = is_held or any(row["done_at"] is None for row in received)
        return [
            *(_received(row) for row in received),
            *journal_steps(await self._pool.fetch(_sql["journal"], *arguments)),
            *sent_steps(await self._pool.fetch(_sql["outbox"], *arguments)),
            *(_refused(row) for row in await self._pool.fetch(_sql["refused"], *arguments)),
        ]

    async def captions(self) -> list[Caption]:
        """What was said so far in the call that runs; nothing without one."""
        if self._chat is None:
            self._chat = await self._find_chat()
        return captions(await self._pool.fetch(_sql["captions"], *self._chat)) if self._chat else []

    async def refusal(self, wacid: str) -> str:
        """Why a call came to nothing, as the server noted it; empty where it noted nothing."""
        if self._chat is None:
            self._chat = await self._find_chat()
        return await self._pool.fetchval(_sql["refusal"], self._chat[0], wacid) or "" if self._chat else ""

    async def _find_chat(self) -> tuple[str, str] | None:
        workspace_id = await self._pool.fetchval(_sql["workspace_of_number"], self._number)
        if workspace_id is None:
            return None
        chat_id = await self._pool.fetchval(_sql["chat"], workspace_id, self._number, self._identifiers)
        return (workspace_id, chat_id) if chat_id else None


def taken(steps: Iterable[Step]) -> set[str]:
    """The ids of the person's messages that the server has committed."""
    return {str(step.detail["dedupe"]) for step in steps if step.side == "webhook" and "dedupe" in step.detail}


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Oldest first."""
    return sorted(steps, key=lambda step: (step.at, step.rank, step.key))


def captions(rows: Iterable[Record | Mapping[str, Any]]) -> list[Caption]:
    """What a call's journal says aloud, in order; of an answer that was cut, what was heard of it."""
    found: dict[str, Caption] = {}
    for row in rows:
        data = row["data"]
        if row["kind"] == "agent_interrupted":
            name, heard = data["message_id"], data["heard"].strip()
            if name in found and heard:
                found[name] = Caption(name, "agent", f"{heard} …")
            else:
                found.pop(name, None)
        elif data["text"].strip():
            who: Literal["person", "agent"] = "person" if row["kind"] == "user_message" else "agent"
            found[data["id"]] = Caption(data["id"], who, data["text"].strip())
    return list(found.values())


def wire_step(event: Mapping[str, Any], person_id: str, number_id: str) -> Step | None:
    """The step that an event of the emulator's log is for a chat; None for what is not of it, or told elsewhere."""
    if event.get("person_id") not in (None, person_id) or event.get("phone_number_id") not in (None, number_id):
        return None
    key, at = f"wire:{event['seq']:012}", float(event["at"])
    match event["kind"]:
        case "inbound":
            return Step(key, at, "person", "The person sends", str(event["type"]), detail=event)
        case "message.sent" | "message.delivered" | "message.read" | "message.played":
            state = str(event["kind"]).removeprefix("message.")
            return Step(key, at, "status", f"Status: {state}", rank=8, detail=event)
        case "message.failed":
            return Step(key, at, "status", "Status: failed", f"code {event['code']}", bad=True, rank=8, detail=event)
        case "read_receipt":
            return Step(key, at, "graph", "Graph call: mark as read", rank=3, detail=event)
        case "typing":
            return Step(key, at, "graph", "Graph call: typing indicator", rank=4, detail=event)
        case "call.began":
            title = "The person calls" if event["direction"] == "USER_INITIATED" else "The business calls"
            return Step(key, at, "person", title, detail=event)
        case "call.accepted":
            return Step(key, at, "status", "Call accepted", rank=8, detail=event)
        case "call.ended":
            return Step(key, at, "status", "Call ended", str(event["by"]).replace("_", " "), rank=8, detail=event)
        case _:
            return _fault_step(event, key, at, number_id)


def _fault_step(event: Mapping[str, Any], key: str, at: float, number_id: str) -> Step | None:
    def step(title: str, note: str = "") -> Step:
        return Step(key, at, "fault", title, note, bad=True, detail=event)

    match event["kind"]:
        case "webhook.attempt" if event["status"] != 200:
            return step("Webhook not taken", f"attempt {event['attempt']}: {event['status'] or event['error']}")
        case "webhook.given_up":
            return step("Webhook given up")
        case "graph.request" if int(event["status"]) >= 400 and f"/{number_id}/" in f"{event['path']}/":
            return step("Graph refused", f"code {event['error']}")
        case "fault":
            return step("Fault", str(event["name"]))
        case _:
            return None


def _received(row: Record) -> Step:
    error = row["error"]
    detail = {"dedupe": row["dedupe"], "webhook": row["payload"], **({"error": error} if error else {})}
    title = "Webhook received and committed"
    at = row["received_at"].timestamp()
    return Step(f"inbox:{row['id']}", at, "webhook", title, error or "", bad=bool(error), rank=1, detail=detail)


def _refused(row: Record) -> Step:
    detail = {"result": row["result"], "reason": row["reason"], "code": row["error_code"]}
    at, title = row["ended_at"].timestamp(), f"Call not taken: {row['result']}"
    return Step(f"call:{row['id']}", at, "turn", title, row["reason"] or "", bad=True, rank=6, detail=detail)


def journal_steps(rows: Iterable[Record | Mapping[str, Any]]) -> Iterable[Step]:
    """What a conversation's journal tells; a row has ``conversation_id``, ``seq``, ``at``, ``kind`` and ``data``."""
    for row in rows:
        tell, data = _TELLERS.get(row["kind"]), row["data"]
        key, at = f"{row['conversation_id']}:{row['seq']:012}", row["at"].timestamp()
        for place, (side, title, note, bad) in enumerate(tell(data) if tell else ()):
            yield Step(f"{key}:{place}", at, side, title, note, bad, rank=5, detail=data)


def _user_message(data: Mapping[str, Any]) -> Iterable[Told]:
    if data.get("medium") == "audio":
        yield "speech", "Recognised", _cut(data["text"]), False
    yield "turn", "Turn takes the message", _cut(data["text"]), False


def _agent_message(data: Mapping[str, Any]) -> Iterable[Told]:
    if data.get("model"):
        yield "model", f"Model: {data['model']}", _model_note(data), False
    else:
        origin = str(data.get("origin", "model")).replace("_", " ")
        who = "A human writes" if origin == "human" else f"Agent speaks ({origin})"
        yield "turn", who, _cut(data["text"]), origin == "failure"
    if data.get("medium") == "audio":
        yield "speech", "Voice note made" if data.get("file_ids") else "Spoken", _cut(data["text"]), False


def _tool_returned(data: Mapping[str, Any]) -> Iterable[Told]:
    failed = bool(data.get("is_error"))
    yield "tool", f"Tool returned: {data['name']}", _seconds(data.get("seconds", 0.0)), failed


def _turn_timed(data: Mapping[str, Any]) -> Iterable[Told]:
    waits = waits_in_order(data["waits"])
    parts = ", ".join(f"{name.replace('_', ' ')} {wait:.0f}" for name, wait in waits.items())
    yield "speech", f"Silence before the answer: {sum(waits.values()):.0f} ms", parts, False


def _call_permission(data: Mapping[str, Any]) -> Iterable[Told]:
    lasting = "" if data.get("permanent") is None else "permanent" if data["permanent"] else "temporary"
    yield "person", f"Permission to call: {data['state']}", lasting, data["state"] in ("declined", "blocked")


def _call_charged(data: Mapping[str, Any]) -> Iterable[Told]:
    length = "of unknown length" if data.get("seconds") is None else f"{data['seconds']} s"
    price = "price unknown" if data.get("price") is None else f"${data['price']:.4f}"
    yield "turn", f"Meta charges the call: {price}", length, False


def _noted(data: Mapping[str, Any]) -> Iterable[Told]:
    text = (data.get("detail") or {}).get("text") or ""
    yield "turn", str(data["what"]).replace("_", " ").capitalize(), _cut(text), False


def _one(side: Side, title: str, note: str = "") -> Callable[[Mapping[str, Any]], Iterable[Told]]:
    """Tells one step; ``note`` names the field that is told beside it."""
    return lambda data: [(side, title, _cut(data.get(note) or "") if note else "", False)]


Told: TypeAlias = tuple[Side, str, str, bool]
"""Side, title, note, and whether it is bad."""
_TELLERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterable[Told]]]] = {
    "started": _one("turn", "Conversation begins"),
    "user_message": _user_message,
    "agent_message": _agent_message,
    "tool_called": lambda data: [("tool", f"Tool called: {data['name']}", "", False)],
    "tool_returned": _tool_returned,
    "turn_failed": lambda data: [("turn", "Turn failed", str(data["reason"]), True)],
    "turn_timed": _turn_timed,
    "agent_interrupted": _one("speech", "Interrupted; heard so far", "heard"),
    "user_silent": _one("turn", "The person says nothing: the agent goes on"),
    "contextual_update": _one("turn", "Background is given", "text"),
    "human_takeover": lambda data: [
        ("turn", "A human takes over" if data["active"] else "A human hands back", "", False)
    ],
    "call_permission": _call_permission,
    "call_ended": lambda data: [("turn", f"Call over: {data['result']}", str(data.get("reason") or ""), False)],
    "call_charged": _call_charged,
    "ended": lambda data: [("turn", "Conversation ends", str(data["reason"]), data.get("status") == "failed")],
    "summarised": _one("model", "Conversation summarised", "title"),
    "noted": _noted,
}


def sent_steps(rows: Iterable[Record | Mapping[str, Any]]) -> Iterable[Step]:
    """The calls that sent messages, each where it began: Meta may tell of a delivery before its answer is here."""
    for row in rows:
        ended = row["accepted_at"] or row["failed_at"]
        if ended is None or (row["accepted_at"] is None and row["state"] != "failed"):
            continue
        failed = row["accepted_at"] is None
        took = (ended - row["attempted_at"]).total_seconds()
        detail = {"outbox_id": row["id"], "wamid": row["wamid"], "attempt": row["attempt"], "body": row["body"]}
        if row["error"]:
            detail["error"] = row["error"]
        title = f"Graph call: send {row['kind']}"
        note = f"{'failed' if failed else 'accepted'} in {_seconds(max(0.0, took))}"
        yield Step(f"outbox:{row['id']}", row["attempted_at"].timestamp(), "graph", title, note, failed, 7, detail)


def _model_note(data: Mapping[str, Any]) -> str:
    usage = data.get("usage") or {}
    tokens = f"{usage.get('input', 0)} tokens in, {usage.get('output', 0)} out" if usage else ""
    seconds = _seconds(data["seconds"]) if data.get("seconds") is not None else ""
    tried = f"after {len(data['attempts'])} other(s)" if data.get("attempts") else ""
    return ", ".join(part for part in (seconds, tokens, tried) if part)


def _seconds(seconds: float) -> str:
    """A duration as people read it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _cut(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 80 else f"{line[:79]}…"
