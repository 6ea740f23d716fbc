"""Calls whose webhooks are lost, repeated, swapped and mixed up: each ends once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg

from support.doomed import KEY, doomed_server, free_port
from support.meta import Emulator, Person, emulator
from support.wait import until

HEARD: dict[str, dict[str, Any]] = {
    "call_stale_connect": {"seconds": 0.2},
    "call_duplicate": {"copies": 2, "seconds": 0.1},
    "call_swapped": {},
    "call_undirected": {},
    "call_shuffle": {"seconds": 0.5, "seed": 7},
}
"""Faults under which the person is answered, with their parameters."""
UNHEARD: dict[str, dict[str, Any]] = {
    "call_connect_lost": {},
    "call_end_first": {},
    "call_unsure": {"match": {"action": "accept"}},
}
"""Faults under which the call ends unanswered, or at once."""


async def under(meta: Emulator, fault: str, parameters: dict[str, Any], phone: str) -> Person:
    """A person whose calls have the fault."""
    person = await meta.person(fault, phone)
    match = {"person_id": person.person_id, **parameters.get("match", {})}
    await meta.call("POST", "/faults", name=fault, **{**parameters, "match": match})
    return person


async def call_and_hang_up(meta: Emulator, person: Person, *, answered: bool) -> dict[str, Any]:
    """The call of a person, who hangs up as soon as it was answered or at once."""
    made = await meta.call("POST", f"/people/{person.person_id}/calls", phone_number_id=meta.number)
    call_id = made["call_id"]

    async def state(*wanted: str) -> dict[str, Any] | None:
        call: dict[str, Any] = await meta.call("GET", f"/calls/{call_id}")
        return call if call["state"] in wanted else None

    if answered:
        await until(lambda: state("active", "ended"))
    await meta.call("POST", f"/calls/{call_id}/hangup")
    found = await until(lambda: state("ended"))
    assert found is not None
    return found


async def test_every_call_ends_once_under_each_fault(dsn: str, tmp_path: Path) -> None:
    async with emulator() as meta, doomed_server(meta, dsn, tmp_path, free_port()) as server:
        await meta.furnish(server.url, KEY, "You are Luma of a plant shop.")
        heard = [await under(meta, name, more, f"1555010200{n}") for n, (name, more) in enumerate(HEARD.items())]
        lost = [await under(meta, name, more, f"1555010300{n}") for n, (name, more) in enumerate(UNHEARD.items())]
        calls = await asyncio.gather(
            *(call_and_hang_up(meta, person, answered=True) for person in heard),
            *(call_and_hang_up(meta, person, answered=person is lost[2]) for person in lost),
        )
        by = [call["ended_by"] for call in calls]
        assert by[:-1] == ["person"] * 7
        assert by[-1] in ("business", "person"), "an accept of unknown outcome is ended by terminate"
        assert all(call["started_at"] for call in calls[:5])
        await meta.call("DELETE", "/faults")
        await meta.call("POST", "/faults", name="call_batch", size=2, seconds=0.5)
        pair = [await meta.person("Ben", "15550104001"), await meta.person("Cleo", "15550104002")]
        batched = await asyncio.gather(*(call_and_hang_up(meta, person, answered=True) for person in pair))
        assert all(call["started_at"] for call in batched)
        database = await asyncpg.connect(dsn)
        try:
            await until(lambda: settled(database))
            results = [row["result"] for row in await database.fetch("select result from whatsapp_call")]
            assert sorted(results) == ["answered"] * 7 + ["failed", "no_answer"], "a stale connect begins no call"
            assert await database.fetchval("select count(*) from conversation") == 7
        finally:
            await database.close()
        assert {call["state"] for call in (await meta.call("GET", "/calls"))["calls"]} == {"ended"}


async def settled(database: asyncpg.Connection) -> bool:
    """Whether no call runs, and nothing waits but the end of the call whose beginning was lost."""
    return not await database.fetchval(
        """select exists (select from whatsapp_call where phase <> 'ended')
           or exists (select from conversation where ended_at is null)
           or exists (select from mailbox m join whatsapp_call c on c.mailbox_id = m.id
                      where m.owner is not null or m.due_at is not null)
           or (select count(distinct mailbox_id) from inbox where done_at is null) > 1"""
    )
