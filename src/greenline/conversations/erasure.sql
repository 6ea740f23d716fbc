-- What is erased with a conversation, and with the last one of a person.

-- name: forget_messages
-- What was to be sent is not sent any more, and of what was sent only the facts stay. Meta's ids hold numbers.
update outbox set
  body = '{}',
  fallback = null,
  wamid = null,
  error = case when state in ('queued', 'sending', 'unknown')
    then jsonb_build_object('code', 'conversation_deleted', 'title', 'The conversation was deleted')
    when jsonb_typeof(error) = 'object' then error - 'details' end,
  failed_at = case when state in ('queued', 'sending', 'unknown') then $3 else failed_at end,
  state = case when state in ('queued', 'sending', 'unknown') then 'failed' else state end
where workspace_id = $1 and conversation_id = $2;

-- name: forget_events
-- The webhook events of a conversation at $3: of the person's messages, of the statuses of ours, of its calls. Their
-- keys stay as digests, Meta repeats events. Goes before the ids of messages are erased. With them go the orders of
-- operators, who may have written to the person.
with chat as (
  select c.chat_id as id from conversation c where c.workspace_id = $1 and c.id = $2
), key as (
  select e.data ->> 'wamid' as dedupe from conversation_event e
  where e.workspace_id = $1 and e.conversation_id = $2 and e.kind = 'user_message'
  union all
  select o.wamid || ':' || told.state || ':' || person.recipient
  from outbox o,
    unnest(array['sent', 'delivered', 'read', 'played', 'failed', 'deleted', 'warning']) as told(state),
    (select i.identifier from chat join chat_identity i on i.chat_id = chat.id union select '') as person(recipient)
  where o.workspace_id = $1 and o.conversation_id = $2 and o.wamid is not null
), orders as (
  delete from inbox where workspace_id = $1 and kind = 'order' and payload ->> 'conversation_id' = $2
), found as (
  select i.id from key cross join lateral unnest(array[key.dedupe, 'permission:' || key.dedupe]) as known(dedupe)
  join inbox i on i.dedupe = known.dedupe and i.kind <> 'order'
  union all
  select i.id from whatsapp_call w join inbox i on i.mailbox_id = w.mailbox_id and i.done_at is not null
  where w.conversation_id = $2 and w.workspace_id = $1 and w.phase = 'ended' and i.kind <> 'order'
), gone as (
  delete from inbox i where i.workspace_id = $1 and i.done_at is not null and i.id in (select id from found)
  returning i.dedupe
)
insert into erased_event(digest, erased_at) select event_digest(dedupe), $3 from gone on conflict do nothing;

-- name: forget_calls
-- Calls that are over; one that is on is forgotten with the other old calls.
with gone as (
  delete from whatsapp_call where workspace_id = $1 and conversation_id = $2 and phase = 'ended' returning mailbox_id
)
delete from mailbox m using gone where m.id = gone.mailbox_id and m.workspace_id = $1 and m.owner is null;

-- name: forget_memories
-- Later conversations of the thread began, or went on, with the last messages and the summary of this one.
with gone as materialized (
  select c.chat_id, c.summary, array(
    select words from conversation_event e,
      unnest(array[e.data ->> 'text', e.data ->> 'heard', e.data ->> 'said']) as words
    where e.conversation_id = c.id and e.workspace_id = $1 and words is not null
      and e.kind in ('user_message', 'agent_message', 'agent_interrupted', 'tool_returned')
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
  and e.conversation_id = later.id and e.workspace_id = $1 and e.kind in ('started', 'resumed')
  and e.data ? 'remembered';

-- name: leave_chat
-- The chat is not to know the person any longer than it has conversations.
update whatsapp_chat c set to_be_forgotten = true
from conversation v where v.workspace_id = $1 and v.id = $2 and c.id = v.chat_id and c.workspace_id = $1
returning c.id;

-- name: to_be_forgotten
-- scope: system, the keeper serves all workspaces; every row tells its workspace_id
select c.workspace_id, c.id from whatsapp_chat c
where c.to_be_forgotten and not exists (select from conversation v where v.chat_id = c.id)
limit $1;

-- name: hold_chat
-- Nobody brings an event into the chat or answers one while this transaction lasts.
select id from mailbox where workspace_id = $1 and id = $2 for update;

-- name: forget_person
-- Who the chat $2 is with, unless something is under way in it. $3: now. The row stays, for a message that is on its
-- way to it: it brings the person back.
with chat as materialized (
  select c.id, c.phone_number_id from whatsapp_chat c
  where c.workspace_id = $1 and c.id = $2
    and not exists (select from conversation v where v.chat_id = c.id)
    and not exists (select from inbox i where i.mailbox_id = c.id and i.done_at is null)
    and not exists (
      select from outbox o where o.phone_number_id = c.phone_number_id and o.chat_id = c.id
        and o.state in ('queued', 'sending', 'unknown'))
    and not exists (select from whatsapp_call w where w.chat_id = c.id and w.phase <> 'ended')
  for update of c
), blank as (
  update whatsapp_chat c set
    wa_id = null, bsuid = null, group_id = null, profile_name = null, username = null, last_user_message_at = null,
    last_inbound_wamid = null, marketing_stopped = false, unsupported_told_in = null, to_be_forgotten = false
  from chat where c.id = chat.id
), unnamed as (
  delete from chat_identity i using chat where i.chat_id = chat.id
), over as (
  delete from whatsapp_call w using chat where w.chat_id = chat.id and w.workspace_id = $1
  returning w.mailbox_id
), silent as (
  delete from mailbox m using over where m.id = over.mailbox_id and m.workspace_id = $1
), unsent as (
  update outbox o set body = '{}', fallback = null, wamid = null from chat
  where o.workspace_id = $1 and o.chat_id = chat.id and o.conversation_id is null
), gone as (
  delete from inbox i using (select id from chat union all select mailbox_id from over) as m(id)
  where i.workspace_id = $1 and i.mailbox_id = m.id and i.done_at is not null
  returning i.dedupe
), kept as (
  insert into erased_event(digest, erased_at) select event_digest(dedupe), $3 from gone on conflict do nothing
)
select id from chat;
