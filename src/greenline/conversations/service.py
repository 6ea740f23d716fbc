"""What can be done with conversations that are there: read, rate, delete, and their files."""

from __future__ import annotations

from collections.abc import Callable

from greenline.agents.models import AgentVersion, VersionNotFound
from greenline.agents.service import get_version
from greenline.clock import Clock
from greenline.conversations.erasure import forget_person, forget_traces
from greenline.conversations.events import Entry, Feedback, dump_event
from greenline.conversations.files import ConversationFile, delete_files, list_files
from greenline.conversations.journal import read_journal
from greenline.conversations.listing import to_conversation
from greenline.conversations.metadata import feedback_of
from greenline.conversations.models import Conversation, ConversationNotFound
from greenline.conversations.recordings import erase_recording, find_recording
from greenline.conversations.retention import privacy_of
from greenline.conversations.transcript import Surroundings, transcript
from greenline.conversations.transcript_models import AgentMetadata
from greenline.conversations.usage import Prices, no_prices
from greenline.conversations.views import ConversationView, SummaryView, short_form, view
from greenline.store.batch import despite_conflicts
from greenline.store.objects import Objects
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql

SQL = load_sql(__package__, "queries.sql")


async def find(pool: Pool | Connection, workspace_id: str, conversation_id: str) -> Conversation:
    """The conversation with this id. Raises `ConversationNotFound`."""
    row = await pool.fetchrow(SQL["one"], workspace_id, conversation_id)
    if row is None:
        raise ConversationNotFound
    return to_conversation(row)


async def load_journal(pool: Pool | Connection, workspace_id: str, conversation_id: str) -> tuple[Entry, ...]:
    """All entries of a conversation, in order; none for a conversation that is not there."""
    return read_journal(await pool.fetch(SQL["journal"], workspace_id, conversation_id))


async def get(
    pool: Pool,
    workspace_id: str,
    conversation_id: str,
    *,
    link: Callable[[ConversationFile], str],
    prices: Prices = no_prices,
) -> ConversationView:
    """The whole conversation as clients read it; ``link`` makes the URL of a file. Raises `ConversationNotFound`.

    Row and journal are of one moment.
    """
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        conversation = await find(connection, workspace_id, conversation_id)
        journal = await load_journal(connection, workspace_id, conversation_id)
        files = await list_files(connection, workspace_id, conversation_id)
        privacy = await privacy_of(connection, workspace_id, conversation_id)
        recording = await find_recording(connection, workspace_id, conversation_id)
    agent = await _agent(pool, workspace_id, conversation.version_id)
    return view(conversation, journal, files, agent, link=link, prices=prices, privacy=privacy, recording=recording)


async def get_summary(pool: Pool, workspace_id: str, conversation_id: str, max_messages: int) -> SummaryView:
    """The short form of a conversation. Raises `ConversationNotFound`."""
    conversation = await find(pool, workspace_id, conversation_id)
    journal = await load_journal(pool, workspace_id, conversation_id)
    about = Surroundings(conversation.begun_at, AgentMetadata(agent_id=conversation.agent_id))
    return short_form(conversation, transcript(journal, about), max_messages)


async def rate(pool: Pool, clock: Clock, workspace_id: str, conversation_id: str, said: Feedback) -> None:
    """Rate a conversation, or take the rating back. Raises `ConversationNotFound`."""
    event, shown, now = dump_event(said), feedback_of(said), clock.now()
    seq = await pool.fetchval(SQL["rate"], workspace_id, conversation_id, shown, event, now, said.rating)
    if seq is None:
        raise ConversationNotFound


async def delete(pool: Pool, clock: Clock, objects: Objects, workspace_id: str, conversation_id: str) -> None:
    """Erase a conversation: journal, files, recording, and what its messages said, wherever it was copied to.

    With the last conversation of a WhatsApp chat goes who the person is. Messages that are still waiting to be sent
    are not sent. Raises `ConversationNotFound`.

    The bytes of files go before the rows that name them: a fault in between leaves a conversation that can be
    deleted again, never bytes that nobody knows of.
    """
    # It meets turns and the sender on the rows of the chat.
    await despite_conflicts(lambda: _delete(pool, clock, objects, workspace_id, conversation_id))


async def _delete(pool: Pool, clock: Clock, objects: Objects, workspace_id: str, conversation_id: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SQL["fence"], workspace_id, conversation_id, clock.now())
        if await connection.fetchval(SQL["lock"], workspace_id, conversation_id) is None:
            raise ConversationNotFound
        files = await list_files(connection, workspace_id, conversation_id)
        chat_id = await forget_traces(connection, workspace_id, conversation_id, clock.now())
        await connection.execute(SQL["forget_steps"], workspace_id, conversation_id)
        await delete_files(objects, workspace_id, [file.id for file in files])
        await erase_recording(connection, objects, workspace_id, conversation_id)
        await connection.execute(SQL["delete"], workspace_id, conversation_id)
        if chat_id is not None:
            await forget_person(connection, workspace_id, chat_id, clock.now())


async def _agent(pool: Pool, workspace_id: str, version_id: str) -> AgentVersion | None:
    try:
        return await get_version(pool, workspace_id, version_id)
    except VersionNotFound:
        return None
