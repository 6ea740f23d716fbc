"""Whether a peer is still there: consent checks (RFC 7675) that hurry when nothing comes from it.

Silence alone is no sign: a person who is muted or on hold, or whose phone transmits discontinuously, sends nothing
either. Only a peer that does not answer our checks is gone. aioice asks every 5 s and gives up after six questions:
half a minute in which an agent speaks to nobody.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from aioice import stun
from aioice.ice import CandidatePair, Connection

PERIOD_SECONDS: Final = 5.0
"""RFC 7675, 5.1; varied by a fifth."""
QUIET_SECONDS: Final = 2.0
"""When nothing has come for so long, the peer is asked at once."""
LOOK_SECONDS: Final = 1.0
HURRIED_SECONDS: Final = 0.5
"""After a question without an answer. Each waits half a second for it, as STUN does before it repeats one."""
QUESTIONS: Final = 6
"""Without an answer, as aioice. With the wait before it is 8 s: a network that is away for 5 s is outlived."""


async def watch(connection: Connection, quiet: Callable[[], float]) -> None:
    """Take the place of ``Connection.query_consent``: close the connection when its peer is gone.

    ``quiet`` tells for how many seconds nothing has come. A connection that was closed while it came about has no
    peer to ask: nobody would end the questions.
    """
    if connection._closing:  # noqa: SLF001 - as below
        return
    unanswered = 0
    while unanswered < QUESTIONS:
        await (asyncio.sleep(HURRIED_SECONDS) if unanswered else _until_due(quiet))
        for pair in list(connection._nominated.values()):  # noqa: SLF001 - as aioice's own way
            unanswered = 0 if await _answers(connection, pair) else unanswered + 1
    connection._query_consent_task = None  # noqa: SLF001 - else `close` would cancel and wait for this very task
    await connection.close()


async def _until_due(quiet: Callable[[], float]) -> None:
    left = PERIOD_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - peers shall not ask in step, nothing more
    while left > 0:
        await asyncio.sleep(LOOK_SECONDS)
        left = left - LOOK_SECONDS if quiet() < QUIET_SECONDS else 0.0


async def _answers(connection: Connection, pair: CandidatePair) -> bool:
    key = (connection.remote_password or "").encode()
    question = connection.build_request(pair, nominate=False)
    try:
        await pair.protocol.request(question, pair.remote_addr, integrity_key=key, retransmissions=0)
    except stun.TransactionError:
        return False
    return True
