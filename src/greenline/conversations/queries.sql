-- name: one
select c.*, a.name as agent_name, w.wa_id, w.bsuid
from conversation c
left join agent a on a.id = c.agent_id and a.workspace_id = c.workspace_id
left join whatsapp_chat w on w.id = c.chat_id and w.workspace_id = c.workspace_id
where c.workspace_id = $1 and c.id = $2;

-- name: journal
select seq, at, kind, data from conversation_event where workspace_id = $1 and conversation_id = $2 order by seq;

-- name: rate
-- Feedback $3 goes into the projection, its event $4 into the journal at $5; the row's lock orders the numbers.
with rated as (
  update conversation set feedback = $3, last_seq = last_seq + 1 where workspace_id = $1 and id = $2
  returning id, workspace_id, last_seq
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select id, last_seq, workspace_id, $5, 'feedback', $4 from rated
returning seq;

-- name: fence
-- A turn that runs in the chat loses its lease: it can't bring the conversation back, and is run again without it.
-- Nobody claims the chat while this transaction lasts.
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

-- name: forget_messages
-- What was to be sent is not sent any more, and of what was sent only the facts stay.
update outbox set
  body = '{}',
  error = case when state in ('queued', 'sending', 'unknown')
    then jsonb_build_object('code', 'conversation_deleted', 'title', 'The conversation was deleted')
    when jsonb_typeof(error) = 'object' then error - 'details' end,
  failed_at = case when state in ('queued', 'sending', 'unknown') then $3 else failed_at end,
  state = case when state in ('queued', 'sending', 'unknown') then 'failed' else state end
where workspace_id = $1 and conversation_id = $2;

-- name: forget_inbox
-- The webhook events of the messages that the person sent in this conversation; their keys stay, Meta repeats them.
update inbox i set payload = '{}'
from conversation_event e
where e.workspace_id = $1 and e.conversation_id = $2 and e.kind = 'user_message'
  and i.workspace_id = $1 and i.dedupe = e.data ->> 'wamid' and i.done_at is not null;

-- name: forget_memories
-- Later conversations of the thread began with the last messages and the summary of this one.
with gone as materialized (
  select c.chat_id, c.summary, array(
    select e.data ->> 'text' from conversation_event e
    where e.conversation_id = c.id and e.workspace_id = $1 and e.kind in ('user_message', 'agent_message')
  ) as texts
  from conversation c where c.workspace_id = $1 and c.id = $2
)
update conversation_event e set data =
  case when e.data ->> 'summary' = gone.summary then e.data - 'summary' else e.data end
  || jsonb_build_object('remembered', (
    select coalesce(jsonb_agg(m.message order by m.place), '[]')
    from jsonb_array_elements(e.data -> 'remembered') with ordinality as m(message, place)
    where m.message ->> 'text' <> all(gone.texts)
  ))
from gone, conversation later
where later.workspace_id = $1 and later.chat_id = gone.chat_id and later.id <> $2
  and e.conversation_id = later.id and e.workspace_id = $1 and e.kind = 'started' and e.data ? 'remembered';

-- name: delete
delete from conversation where workspace_id = $1 and id = $2;
