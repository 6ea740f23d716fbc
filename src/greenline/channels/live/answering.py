"""What the agent's model answers: a turn of the engine, with the tools of the agent, its servers and the client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias

import structlog

from greenline.agents.lookup import ValueUnavailable
from greenline.agents.variables import MissingVariables, SecretVariable
from greenline.channels.live.answer import Answer
from greenline.channels.live.approvals import Approvals, ClientDesk
from greenline.channels.live.conversation import Conversation
from greenline.channels.live.effects import ClientCalls, LiveEffects
from greenline.channels.live.fillers import Fillers
from greenline.channels.live.means import Means
from greenline.channels.live.turn import ClientSide, build_turn
from greenline.conversations.away import away_notes
from greenline.engine.files import Room
from greenline.engine.guardrails.refused import Refused
from greenline.engine.turn import Outcome, Turn, fail, run_turn
from greenline.engine.variables import known
from greenline.store.outage import DATABASE_ERRORS
from greenline.tools.mcp.toolbox import Toolbox

log = structlog.get_logger(__name__)

UNREACHABLE: Final = "database_unreachable"
"""Code of a turn that needed something of the database, such as a secret, while it was away."""
TOOL_CALL: Final = "mcp_tool_call"
"""The event by which a client learns that a call waits for its approval."""

Late: TypeAlias = Callable[[Coroutine[Any, Any, Refused]], bool]
"""Takes the verdict on a turn that was cut, where it is still wanted."""


class Answering:
    """That of one conversation. ``switched`` is called when the agent goes on in another language."""

    def __init__(
        self, means: Means, conversation: Conversation, fillers: Fillers, switched: Callable[[], None]
    ) -> None:
        self._means = means
        self._conversation = conversation
        self._fillers = fillers
        self._switched = switched
        self.client_calls = ClientCalls()
        self.approvals = Approvals(means.clock)
        agent = means.agent
        asks = agent.has_client and TOOL_CALL in agent.config.conversation.client_events
        self._toolbox = Toolbox(means.mcp, agent.lookup, ClientDesk(asks, conversation.tell, self.approvals))

    async def meet_servers(self) -> None:
        """Ask the agent's MCP servers for their tools, so that no answer waits for that."""
        try:
            await self._toolbox.offer(self._servers, known(self._means.agent.started, self._conversation.journal))
        except DATABASE_ERRORS as error:
            log.warning("mcp.not_met", conversation_id=self._conversation.id, error=str(error))

    async def run(self, answer: Answer, late: Late) -> Outcome:
        """Make ``answer`` as the model has it; where it can't be made, it is the words for a failure."""
        means = self._means
        effects = LiveEffects(
            means.models, means.clock, answer, answer.committed, partial(self._keep, answer), late=late
        )
        try:
            turn = await self._turn(answer)
            self._fillers.write(turn)
            return await run_turn(turn, effects, answer.outcome)
        except (MissingVariables, SecretVariable, ValueUnavailable) as error:
            return self._fail(answer, effects, error.code, error.message)
        except DATABASE_ERRORS as error:
            return self._fail(answer, effects, UNREACHABLE, str(error))

    async def _turn(self, answer: Answer) -> Turn:
        means, journal = self._means, self._conversation.journal
        if answer.said is not None and not answer.committed.is_set():  # else the journal holds it already
            journal = (*journal, answer.said)
        room = Room(means.config.conversation.file_input.max_files_in_memory)
        files = await means.files.shown(journal, room)
        offer = await self._toolbox.offer(self._servers, known(means.agent.started, journal))
        self._conversation.record(*away_notes(offer.away, journal))
        client = ClientSide(answer.ask_client, answer.ask_to_press, self.client_calls)
        switch = partial(self._switch, answer)
        return await build_turn(
            means, self._conversation.id, journal, files, client, offer, switch, waited=answer.waited
        )

    def _keep(self, answer: Answer) -> None:
        """What was said and done before a tool has its place and its time, whatever becomes of the rest."""
        self._conversation.record(*answer.take(answer.events))

    def _fail(self, answer: Answer, effects: LiveEffects, code: str, reason: str) -> Outcome:
        log.error("turn.failed", conversation_id=self._conversation.id, code=code, reason=reason)
        return fail(answer.outcome, effects, self._means.settings.failure_message, code, reason)

    def _switch(self, answer: Answer, language: str) -> None:
        self._means.agent.switch_to(language)
        answer.speak_as(*self._means.voices())
        self._fillers.use(self._means.config.turn.soft_timeout_config)
        self._switched()

    @property
    def _servers(self) -> list[str]:
        """None in zero-retention mode (reference: MCP servers)."""
        agent = self._means.agent
        off = agent.version.platform_settings.privacy.zero_retention_mode
        return [] if off else agent.config.agent.prompt.mcp_server_ids
