-- name: find
select conversation_id, workspace_id, object_key, size_bytes, seconds, has_user, has_agent, created_at
from conversation_recording where workspace_id = $1 and conversation_id = $2;

-- name: keep
-- Nothing where the conversation was deleted meanwhile, or lost its sound at the end of its retention time; either
-- waits for this row's lock, or this one for theirs.
with owner as materialized (
  select id, workspace_id from conversation
  where workspace_id = $1 and id = $2 and audio_deleted_at is null
  for share
)
insert into conversation_recording(
  conversation_id, workspace_id, object_key, size_bytes, seconds, has_user, has_agent, created_at)
select id, workspace_id, $3, $4, $5, $6, $7, $8 from owner
on conflict (conversation_id) do update set size_bytes = excluded.size_bytes, seconds = excluded.seconds,
  has_user = excluded.has_user, has_agent = excluded.has_agent
returning conversation_id;

-- name: forget
delete from conversation_recording where workspace_id = $1 and conversation_id = $2;

-- name: over
-- Of the conversations $2 those that are running no more: ended, or not there.
select wanted.id from unnest($2::text[]) as wanted(id)
where not exists (
  select from conversation c where c.workspace_id = $1 and c.id = wanted.id and c.status in ('initiated', 'in-progress')
);
