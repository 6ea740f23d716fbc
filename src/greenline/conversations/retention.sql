-- name: due
-- scope: system, the keeper serves all workspaces; every row tells its workspace_id
-- Conversations of which something is to be erased by $1, the longest due first. A conversation that is still being
-- analysed, or of which somebody is still to be told, waits. In zero-retention mode all of it goes then.
select c.workspace_id, c.id
from conversation c
cross join lateral (select conversation_privacy(c.agent_id, c.started_at) as privacy) p
cross join lateral (select coalesce((p.privacy ->> 'zero_retention_mode')::boolean, false) as of_all) zero
where c.ended_at is not null and c.status <> 'processing'
  and (c.transcript_deleted_at is null or c.audio_deleted_at is null)
  and not exists (
    select from post_call_webhook w where w.workspace_id = c.workspace_id and w.conversation_id = c.id)
  and (
    zero.of_all
    or (p.privacy ->> 'retention_days')::int >= 0
    and c.ended_at + make_interval(days => (p.privacy ->> 'retention_days')::int) <= $1
  )
  and (
    c.transcript_deleted_at is null and (zero.of_all or (p.privacy ->> 'delete_transcript_and_pii')::boolean)
    or c.audio_deleted_at is null and (zero.of_all or (p.privacy ->> 'delete_audio')::boolean)
  )
order by c.ended_at
limit $2;

-- name: lock
-- What is to be erased, judged again: another process may have done it. Locked against everyone who changes the row.
select
  transcript_deleted_at is null and (zero.of_all or (p.privacy ->> 'delete_transcript_and_pii')::boolean) as transcript,
  audio_deleted_at is null and (zero.of_all or (p.privacy ->> 'delete_audio')::boolean) as audio
from conversation c
cross join lateral (select conversation_privacy(c.agent_id, c.started_at) as privacy) p
cross join lateral (select coalesce((p.privacy ->> 'zero_retention_mode')::boolean, false) as of_all) zero
where c.workspace_id = $1 and c.id = $2
for update of c;

-- name: privacy
select conversation_privacy(agent_id, started_at) from conversation where workspace_id = $1 and id = $2;

-- name: erase_events
-- Of the journal stays what says nothing of what was said: when it began and ended, and what became of messages.
delete from conversation_event
where workspace_id = $1 and conversation_id = $2
  and kind not in ('started', 'resumed', 'delivery', 'call_permission', 'call_ended', 'call_charged', 'feedback', 'ended', 'erased');

-- name: strip_events
update conversation_event set data = case kind
  when 'started' then data - '{variables,sealed_variables,override,summary,remembered,knowledge,user_id}'::text[]
  when 'resumed' then '{}'
  when 'delivery' then (data - 'wamid') #- '{error,details}'
  when 'feedback' then data - 'comment'
  else (data || jsonb_build_object('reason', split_part(data ->> 'reason', ':', 1))) #- '{error,reason}'
end
where workspace_id = $1 and conversation_id = $2 and kind in ('started', 'resumed', 'delivery', 'feedback', 'ended');

-- name: strip_row
-- A reason's part after the colon is a model's.
update conversation set
  user_id = null, chat_id = null, title = null, summary = null, initiation = '{}',
  feedback = case when jsonb_typeof(feedback) = 'object' then feedback - 'comment' end,
  error = case when jsonb_typeof(error) = 'object' then error - 'reason' end,
  termination_reason = split_part(termination_reason, ':', 1)
where workspace_id = $1 and id = $2;

-- name: delete_files
delete from conversation_file where workspace_id = $1 and conversation_id = $2 and id = any($3::text[]);

-- name: record
-- The event $3 at $4; what it says is erased is marked in the row, whose lock orders the numbers.
with marked as (
  update conversation set
    last_seq = last_seq + 1,
    transcript_deleted_at = case when $3::jsonb ->> 'what' = 'transcript' then $4 else transcript_deleted_at end,
    audio_deleted_at = case when $3 ->> 'what' = 'audio' then $4 else audio_deleted_at end
  where workspace_id = $1 and id = $2
  returning id, workspace_id, last_seq
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select id, last_seq, workspace_id, $4, 'erased', $3 from marked;
