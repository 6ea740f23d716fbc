-- Calls on WhatsApp. What a call's holder writes is fenced by the epoch of the call's mailbox.

-- name: of_mailbox
select to_jsonb(c) as call from whatsapp_call c where c.workspace_id = $1 and c.mailbox_id = $2;

-- name: by_id
select mailbox_id from whatsapp_call
where workspace_id = $1 and (wacid = $2 or (id = $3 and coalesce(wacid, $2) = $2));

-- name: line
-- The number, its agent and the person's chat, as far as there is one.
select a.workspace_id, a.phone_number_id, a.phone_number, a.token, a.is_token_expired, a.assigned_agent_id,
  c.id as chat_id, c.wa_id, c.bsuid
from whatsapp_account a
left join whatsapp_chat c on c.id = $3 and c.workspace_id = a.workspace_id
where a.workspace_id = $1 and a.phone_number_id = $2;

-- name: begin
insert into whatsapp_call(
  id, workspace_id, phone_number_id, chat_id, mailbox_id, conversation_id, wacid, direction, phase, request, created_at)
select r.id, $1, r.phone_number_id, r.chat_id, r.mailbox_id, r.conversation_id, r.wacid, r.direction, r.phase,
  r.request, r.created_at
from jsonb_populate_record(null::whatsapp_call, $2::jsonb) r
on conflict (mailbox_id) do nothing
returning id;

-- name: save
-- $2: mailbox, $3: its epoch, $4: the row, $5: events of the inbox that are dealt with, $6: now.
with held as materialized (
  select id from mailbox where id = $2 and epoch = $3 for update
), saved as (
  update whatsapp_call c set
    conversation_id = r.conversation_id, wacid = r.wacid, phase = r.phase, request_outbox_id = r.request_outbox_id,
    permission_state = r.permission_state, permission_permanent = r.permission_permanent,
    permission_by_users_call = r.permission_by_users_call, permission_requested_at = r.permission_requested_at,
    permission_responded_at = r.permission_responded_at, result = r.result, reason = r.reason,
    error_code = r.error_code, talk_seconds = r.talk_seconds, hang_up = r.hang_up, statistics = r.statistics,
    picked_up_at = r.picked_up_at, ended_at = r.ended_at
  from held, jsonb_populate_record(null::whatsapp_call, $4::jsonb) r
  where c.workspace_id = $1 and c.mailbox_id = held.id
  returning c.id
), done as (
  update inbox i set done_at = $6, error = null from held
  where i.id = any($5::bigint[]) and i.mailbox_id = held.id
)
select held.id from held;

-- name: set_done
-- Events that belong to no call of ours, with the reason.
update inbox set done_at = $4, error = $5 where workspace_id = $1 and mailbox_id = $2 and id = any($3::bigint[]);

-- name: forward
-- Events that came before Meta's id of our call was known go to the mailbox of the call.
update inbox set mailbox_id = $4 where workspace_id = $1 and mailbox_id = $2 and id = any($3::bigint[]);

-- name: feed_texts
-- Messages of a chat, $3, go to the mailbox of the call that is on, $4.
update inbox set mailbox_id = $4, kind = 'call_text'
where workspace_id = $1 and mailbox_id = $2 and id = any($3::bigint[]) and done_at is null
returning id;

-- name: return_texts
update inbox set mailbox_id = $3, kind = 'message'
where workspace_id = $1 and mailbox_id = $2 and kind = 'call_text' and done_at is null
returning id;

-- name: waiting
-- A call to the person of a chat that is on its way.
select id from whatsapp_call
where workspace_id = $1 and chat_id = $2 and direction = 'outbound' and phase <> 'ended'
limit 1;

-- name: request_state
-- What became of a request for permission.
select state, error from outbox where workspace_id = $1 and id = $2;

-- name: conversation
select to_jsonb(v) from conversation v where workspace_id = $1 and id = $2;

-- name: note
-- An event of a journal, $3 and $4, unless the journal holds it already.
with taken as (
  update conversation set last_seq = last_seq + 1
  where workspace_id = $1 and id = $2 and not exists (
    select 1 from conversation_event e where e.conversation_id = $2 and e.kind = $3 and e.data = $4::jsonb)
  returning id, last_seq
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select id, last_seq, $1, $5, $3, $4 from taken;

-- name: charge
-- What a call cost, $3 and $4, as an event of a journal and beside it. Nothing where the last such event says the same.
with last as (
  select e.data from conversation_event e
  where e.workspace_id = $1 and e.conversation_id = $2 and e.kind = $3
  order by e.seq desc limit 1
), taken as (
  update conversation set last_seq = last_seq + 1, call_price = ($4::jsonb ->> 'price')::float
  where workspace_id = $1 and id = $2 and not exists (select from last where data = $4::jsonb)
  returning id, last_seq
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select id, last_seq, $1, $5, $3, $4 from taken;

-- name: last_word
select last_user_message_at from whatsapp_chat where workspace_id = $1 and id = $2 for update;

-- name: open_window
-- A call of the person, or one of ours that they took, opens the 24-hour window (Meta: Customer service windows).
update whatsapp_chat set last_user_message_at = greatest(last_user_message_at, $3)
where workspace_id = $1 and id = $2;

-- name: write
-- A message to the person of a call; the same id is sent once. $8: now.
insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, due_at, created_at)
values ($2, $1, $3, $4, $5, $6, $7, $8, $8)
on conflict (id) do nothing;

-- name: journal
select seq, at, kind, data from conversation_event where workspace_id = $1 and conversation_id = $2 order by seq;

-- name: forget_old
-- scope: system, retention of the calls of all workspaces
-- Calls and their mailboxes; what is worth keeping of them is in the journal of their conversations.
with old as (
  delete from whatsapp_call where ended_at < $1 returning mailbox_id
), emptied as (
  delete from mailbox m using old where m.id = old.mailbox_id and m.owner is null
)
select count(*) from old;
