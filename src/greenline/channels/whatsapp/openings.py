"""How a conversation of a chat begins: what it knows then, and where that comes from."""

from __future__ import annotations

from datetime import datetime

from greenline.agents.initiation import InitiationData
from greenline.agents.lookup import environment_variables, seal_secrets
from greenline.agents.models import AgentVersion
from greenline.agents.service import live_version
from greenline.agents.variables import shown
from greenline.channels.whatsapp.answer import SOURCE, configured, parties
from greenline.channels.whatsapp.chat import Chat, thread
from greenline.channels.whatsapp.commit import TurnCommit
from greenline.channels.whatsapp.dialogue import Dialogue, Failure
from greenline.channels.whatsapp.outbound import startable_version
from greenline.conversations.beginning import known_from_start
from greenline.conversations.events import Resumed, Started
from greenline.conversations.projection import Projection
from greenline.engine.system_variables import at_pick_up, at_start
from greenline.errors import GreenlineError
from greenline.ids import derived_id, new_id
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.tools.initiation_webhook import Brought, NewConversation, StartData
from greenline.workspaces.environments import PRODUCTION


class Openings:
    """Begins conversations, and goes on with those that the business has begun. Writes nothing itself."""

    def __init__(self, pool: Pool, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._vault = vault
        self._settings = settings
        self._start_data = StartData(pool, vault, settings)

    async def resume(self, chat: Chat, conversation: Projection, now: datetime) -> Resumed:
        """The person answers what the business has written: time goes on, and so has the thread."""
        started = known_from_start(chat.journal)
        variables = at_pick_up(started.variables, now) if started is not None else {}
        summary, remembered = await thread(self._pool, chat, self._settings, now, but=conversation.id)
        return Resumed(variables=variables, summary=summary, remembered=remembered)

    async def begin(self, chat: Chat, agent_id: str, commit: TurnCommit) -> Dialogue:
        """The conversation of a person who wrote, with the agent of the number."""
        workspace_id = chat.workspace_id
        version = await live_version(self._pool, workspace_id, agent_id)
        conversation_id = _id_of(chat, version, commit)
        brought = await self._brought(chat, version, conversation_id, commit)
        data, failure = brought.data, None
        if brought.notes:
            try:
                version = await startable_version(self._pool, workspace_id, agent_id, data)
            except GreenlineError as error:
                data, failure = InitiationData(), Failure(error.code, error.message, ends=True)
        commit.versions[version.id] = version
        config = configured(version, data.stored())
        conversation = Projection(
            id=conversation_id,
            workspace_id=workspace_id,
            agent_id=version.agent_id,
            branch_id=version.branch_id,
            version_id=version.id,
            source=SOURCE,
            started_at=commit.now,
            accepted_at=commit.now,
            environment=data.environment or PRODUCTION,
            direction="inbound",
            chat_id=chat.id,
            phone_number_id=chat.phone_number_id,
            user_id=data.user_id or chat.user_id,
            authorization_method="whatsapp",
            initiation=data.stored(),
            main_language=config.agent.language,
        )
        environment = conversation.environment
        own = await environment_variables(self._pool, self._vault, workspace_id, environment, config)
        summary, remembered = await thread(self._pool, chat, self._settings, commit.now)
        started = Started(
            agent_id=version.agent_id,
            branch_id=version.branch_id,
            version_id=version.id,
            environment=environment,
            source=SOURCE,
            direction="inbound",
            user_id=conversation.user_id,
            variables={
                **shown(data.dynamic_variables),
                **own,
                **at_start(version, config, conversation_id=conversation.id, text_only=True, now=commit.now),
                **parties(chat.phone_number_id, chat.user_id, inbound=True),
            },
            sealed_variables=seal_secrets(self._vault, conversation.id, data.dynamic_variables),
            override=data.stored().get("conversation_config_override", {}),
            summary=summary,
            remembered=remembered,
        )
        dialogue = Dialogue(conversation, version, config, started, failure=failure)
        dialogue.open(*brought.notes)
        return dialogue

    async def _brought(self, chat: Chat, version: AgentVersion, conversation_id: str, commit: TurnCommit) -> Brought:
        """What the webhook brings for a conversation that begins. One that is not answered is not told of."""
        if version.platform_settings.privacy.zero_retention_mode:
            return Brought()
        if conversation_id not in commit.brought:
            commit.brought[conversation_id] = await self._start_data.ask(
                NewConversation(
                    version,
                    chat.workspace_id,
                    conversation_id,
                    caller_id=chat.user_id,
                    called_number=chat.phone_number_id,
                )
            )
        return commit.brought[conversation_id]


def _id_of(chat: Chat, version: AgentVersion, commit: TurnCommit) -> str:
    """Of a conversation that begins. Where a webhook is told of it, a turn that is made anew begins the same one."""
    if not version.platform_settings.overrides.enable_conversation_initiation_client_data_from_webhook:
        return new_id("conv")
    return derived_id("conv", chat.id, min(item.id for item in commit.claim.items))
