"""The server is killed before and after every step of a message's way, restarted, and loses and repeats nothing.

Counted at the emulator, by the person: every message has its answer, each answer came once, in order.
"""

import asyncio
import random
from pathlib import Path

import pytest

from greenline.checkpoints import NAMES
from support.doomed import KEY, RETRIES, doomed_server, free_port
from support.meta import Emulator, Person, emulator

PROMPT = r"offline: when ^(.+)$ -> say You said \1"
PEOPLE, MESSAGES = 3, 3
SEEDS, LIVES, CROWD, WORDS, GRACE = range(4), 12, 6, 20, 15.0


async def converse(meta: Emulator, person: Person, messages: int = MESSAGES, seconds: float = 90.0) -> None:
    """A person writes, waits ``seconds`` at most for the answer, and writes again."""
    for number in range(1, messages + 1):
        await meta.say(person, f"message {number}")
        await meta.told(person, number, seconds=seconds)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", NAMES)
async def test_killed_at(point: str, dsn: str, tmp_path: Path) -> None:
    """The first server dies at the first passage of ``point``, its successor at the second; the third lives.

    A message of twice unknown outcome waits for two starts, and twice for the grace time, which grows with them.
    """
    port = free_port()
    async with emulator(webhook_retry_schedule=RETRIES) as meta:
        talks: asyncio.Future[list[None]] | None = None
        for passage in (1, 2):
            async with doomed_server(meta, dsn, tmp_path, port, crash=(point, passage)) as doomed:
                if talks is None:
                    await meta.furnish(doomed.url, KEY, PROMPT)
                    people = [await meta.person(f"Person {n}", f"1555010{n:04}") for n in range(PEOPLE)]
                    talks = asyncio.gather(*(converse(meta, person) for person in people))
                killed = asyncio.create_task(doomed.ended(60))
                await asyncio.wait({killed, talks}, return_when=asyncio.FIRST_COMPLETED)
                died = killed.done()
                killed.cancel()
            assert died or point == "turn.step_saved", f"{point} was passed fewer than {passage} times"
        async with doomed_server(meta, dsn, tmp_path, port):
            await talks
            for person in people:
                assert await meta.answers(person) == [f"You said message {n}" for n in range(1, MESSAGES + 1)]


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
async def test_killed_again_and_again(seed: int, dsn: str, tmp_path: Path) -> None:
    """Two servers that die at random steps, one after the other and at once, under faults of Meta."""
    dice = random.Random(seed)
    async with emulator(webhook_retry_schedule=RETRIES) as meta:
        ports = (free_port(), free_port())
        async with doomed_server(meta, dsn, tmp_path, ports[0]) as first:
            await meta.furnish(first.url, KEY, PROMPT)
        for fault in ("reset_before_accept", "reset_after_accept", "webhook_duplicate", "webhook_shuffle"):
            await meta.call("POST", "/faults", name=fault, probability=0.1, seed=seed)
        people = [await meta.person(f"Person {n}", f"1555020{n:04}") for n in range(CROWD)]
        talks = asyncio.gather(*(converse(meta, person, WORDS, 600.0) for person in people))
        deaths = 0

        async def lives(port: int) -> None:
            nonlocal deaths
            for _ in range(LIVES):
                crash = (dice.choice(NAMES), dice.randint(1, 12))
                async with doomed_server(meta, dsn, tmp_path, port, crash, grace=GRACE) as doomed:
                    dying = asyncio.create_task(doomed.ended(120))
                    await asyncio.wait({dying, talks}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
                    deaths += dying.done()
                    dying.cancel()

        async def last_life(port: int) -> None:
            await lives(port)
            async with doomed_server(meta, dsn, tmp_path, port, grace=GRACE):
                await talks

        # Meta's webhooks go to the first only, which is up again as soon as it is dead.
        await asyncio.gather(last_life(ports[0]), lives(ports[1]))
        assert deaths >= LIVES // 2
        async with doomed_server(meta, dsn, tmp_path, ports[0], grace=GRACE):
            for person in people:
                assert await meta.answers(person) == [f"You said message {n}" for n in range(1, WORDS + 1)]
