"""The server is killed before and after every step of a message's way, restarted, and loses and repeats nothing.

Counted at the emulator, by the person: every message has its answer, each answer came once, in order, and no chat is
stuck: no answer takes `STUCK_SECONDS` from when it was possible. Counted at a shop: each order was placed once.
"""

import asyncio
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.doomed import KEY, RETRIES, doomed_server, free_port
from support.meta import Emulator, Person, emulator
from support.scripted import scripted
from support.shop import Shop

PROMPT = r"""
offline: when ^order (.+)$ -> call place_order {"item": "\1"}
offline: after place_order -> say Ordered {result}
offline: when ^choose (.+)$ -> call send_interactive_buttons {"body_text": "Which \1?", "buttons": [BUTTON]}
offline: when ^(.+)$ -> say You said \1
""".replace("BUTTON", '{"id": "a", "title": "A"}')
TOOLS: dict[str, Any] = {"send_interactive_buttons": {}}
PEOPLE = 3
STUCK_SECONDS = 30.0
PATIENCE_SECONDS = 200.0
"""How long a person waits while one server after the other dies, and those of a loaded machine start slowly."""


@dataclass
class Talk:
    """A person who writes, waits for the answer, and writes again. Times are those of the loop."""

    meta: Emulator
    person: Person
    words: list[str]
    said: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)

    async def run(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Every answer is waited for ``seconds`` at most."""
        now = asyncio.get_running_loop().time
        for number, words in enumerate(self.words, 1):
            await self.meta.say(self.person, words)
            self.said.append(now())
            await self.meta.told(self.person, number, seconds=seconds)
            self.told.append(now())

    def longest_wait(self, possible: float) -> float:
        """For an answer, in seconds, counted from ``possible`` where the question is older."""
        return max(told - max(said, possible) for said, told in zip(self.said, self.told, strict=True))


def replies(words: list[str], shop: Shop) -> list[str]:
    """The answers to ``words``."""
    found = []
    for text in words:
        verb, _, item = text.partition(" ")
        if verb == "order":
            found.append(f"Ordered {item}, receipt {shop.receipt(item)}")
        else:
            found.append(f"Which {item}?" if verb == "choose" else f"You said {text}")
    return found


async def crowd(meta: Emulator, people: int, messages: int) -> list[Talk]:
    """People who want to talk, order and choose in turn."""
    talks = []
    for number in range(people):
        words = [f"{('hello', 'order', 'choose')[count % 3]} tea {count} of {number}" for count in range(messages)]
        talks.append(Talk(meta, await meta.person(f"Person {number}", f"1555010{number:04}"), words))
    return talks


async def verify(meta: Emulator, talks: list[Talk], shop: Shop) -> None:
    """Nothing is missing, nothing came twice, everything is in order."""
    for talk in talks:
        answers, expected = await meta.answers(talk.person), replies(talk.words, shop)
        assert answers == expected, "\n".join(difflib.ndiff(expected, answers))
    assert set((await meta.call("GET", "/deliveries"))["counts"].values()) == {1}
    ordered = [text.removeprefix("order ") for talk in talks for text in talk.words if text.startswith("order ")]
    assert sorted(shop.orders.values()) == sorted(ordered)


async def kill_at(point: str, dsn: str, tmp_path: Path) -> None:
    """The first server dies at the first passage of ``point``, its successor at the second; the third lives.

    What may have left when a server died waits for Meta's word as long again as nobody listened (`orphaned`): Meta
    repeats ever later. No answer to it is possible before.
    """
    port, shop, now = free_port(), Shop(), asyncio.get_running_loop().time
    async with emulator(webhook_retry_schedule=RETRIES) as meta, scripted(shop) as shop_server:
        running: asyncio.Future[list[None]] | None = None
        talks: list[Talk] = []
        for passage in (1, 2):
            crash = (point, passage)
            async with doomed_server(meta, dsn, tmp_path, port, crash, shop=shop_server.url) as doomed:
                if running is None:
                    await meta.furnish(doomed.url, KEY, PROMPT, TOOLS)
                    talks = await crowd(meta, PEOPLE, 3)
                    running = asyncio.gather(*(talk.run() for talk in talks))
                killed = asyncio.create_task(doomed.ended(PATIENCE_SECONDS))
                over: set[asyncio.Future[Any]] = {killed, running}
                await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
                died = killed.done()
                killed.cancel()
            assert died, f"{point} was passed fewer than {passage} times"
        death = now()
        async with doomed_server(meta, dsn, tmp_path, port, shop=shop_server.url):
            ready = now()
            assert running is not None
            await running
            await verify(meta, talks, shop)
            possible = ready + (ready - death)
            assert max(talk.longest_wait(possible) for talk in talks) <= STUCK_SECONDS
