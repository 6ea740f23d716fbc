-- How long conversations are kept: what has been erased, and which settings held when a conversation began.

alter table conversation
  add column transcript_deleted_at timestamptz,
  add column audio_deleted_at timestamptz;
create index conversation_kept on conversation(agent_id, ended_at)
  where ended_at is not null and (transcript_deleted_at is null or audio_deleted_at is null);

-- Settings that an agent had: they hold for conversations that began before `until` ('infinity': it was deleted).
-- Without a reference to the agent, whose conversations outlive it.
create table agent_past_privacy (
  workspace_id text not null references workspace(id),
  agent_id text not null,
  until timestamptz not null,
  privacy jsonb not null,              -- platform_settings.privacy
  primary key (agent_id, until)
);

-- The settings that hold for a conversation, null for an agent that never had any.
create function conversation_privacy(agent text, started timestamptz) returns jsonb language sql stable return
  coalesce(
    (select p.privacy from agent_past_privacy p where p.agent_id = agent and p.until > started order by p.until limit 1),
    (select a.shared -> 'privacy' from agent a where a.id = agent)
  );
