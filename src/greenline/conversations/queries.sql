-- name: one
select c.*, a.name as agent_name, w.wa_id, w.bsuid
from conversation c
left join agent a on a.id = c.agent_id and a.workspace_id = c.workspace_id
left join whatsapp_chat w on w.id = c.chat_id and w.workspace_id = c.workspace_id
where c.workspace_id = $1 and c.id = $2;

-- name: journal
select seq, at, kind, data from conversation_event where workspace_id = $1 and conversation_id = $2 order by seq;

-- name: watch
-- From now on notifications tell when the journal has grown (``tell_watchers``).
update conversation set watched = true where workspace_id = $1 and id = $2 and not watched;

-- name: rate
-- Feedback $3 goes into the projection, and its number $6, by which is searched; its event $4 into the journal at $5.
-- The row's lock orders the numbers. Once what was said is erased, what is said of it is not kept either.
with rated as (
  update conversation set
    feedback = case when transcript_deleted_at is null then $3::jsonb else $3::jsonb - 'comment' end,
    rating = $6, last_seq = last_seq + 1
  where workspace_id = $1 and id = $2
  returning id, workspace_id, last_seq, transcript_deleted_at
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select id, last_seq, workspace_id, $5, 'feedback',
  case when transcript_deleted_at is null then $4::jsonb else $4::jsonb - 'comment' end
from rated
returning seq;

-- name: fence
-- A turn that runs in the chat loses its lease: it can't bring the conversation back, and is run again without it.
-- Nobody claims the chat while this transaction lasts. Whoever holds a live conversation loses it for good, and ends it.
with held as (
  delete from mailbox where workspace_id = $1 and id = 'live:' || $2
)
update mailbox m set epoch = m.epoch + 1, owner = null, lease_until = null,
  due_at = case when m.owner is null then m.due_at else least(m.due_at, $3::timestamptz) end
where m.workspace_id = $1 and m.id = (select c.chat_id from conversation c where c.workspace_id = $1 and c.id = $2);

-- name: forget_steps
-- What a model answered in the turn that was stopped knows the conversation. Where a tool has changed the world the
-- steps stay until the turn has run again: it must not run twice.
delete from turn_step s
where s.workspace_id = $1
  and s.mailbox_id = (select c.chat_id from conversation c where c.workspace_id = $1 and c.id = $2)
  and not exists (select from turn_step e where e.mailbox_id = s.mailbox_id and e.has_effect);

-- name: lock
select id from conversation where workspace_id = $1 and id = $2 for update;

-- name: delete
-- Who watches it is told, as when its journal has grown.
with gone as (
  delete from conversation where workspace_id = $1 and id = $2 returning id, watched
)
select pg_notify('greenline_work', 'journal ' || id) from gone where watched;
