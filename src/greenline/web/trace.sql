-- name: workspace_of_number
-- scope: system, the phone page plays people on an emulated number and has no API key
select workspace_id from whatsapp_account where phone_number_id = $1;

-- name: chat
-- $3: the identifiers of the person (phone digits, business-scoped user id).
select c.id from chat_identity i
join whatsapp_chat c on c.id = i.chat_id and c.workspace_id = $1
where i.phone_number_id = $2 and i.identifier = any($3::text[])
limit 1;

-- name: inbox
-- Webhooks of a chat and of its calls from $3 on.
select id, kind, dedupe, payload, received_at, done_at, error from inbox
where workspace_id = $1 and received_at >= $3 and (mailbox_id = $2 or mailbox_id in (
  select c.mailbox_id from whatsapp_call c where c.workspace_id = $1 and c.chat_id = $2
)) and kind <> 'order'
order by id desc limit $4;

-- name: is_held
-- Whether somebody is at work on a chat or on a call of it, who writes down more before giving it back.
select exists (
  select from mailbox m where m.workspace_id = $1 and m.owner is not null and (m.id = $2 or m.id in (
    select c.mailbox_id from whatsapp_call c where c.workspace_id = $1 and c.chat_id = $2
  ))
);

-- name: journal
-- What the conversations of a chat noted from $3 on.
select e.conversation_id, e.seq, e.at, e.kind, e.data
from conversation c join conversation_event e on e.conversation_id = c.id and e.workspace_id = c.workspace_id
where c.workspace_id = $1 and c.chat_id = $2 and e.at >= $3
order by e.at desc, e.seq desc limit $4;

-- name: outbox
-- Messages to a chat that were tried from $3 on.
select o.id, o.kind, o.body, o.state, o.attempt, o.wamid, o.error, o.attempted_at, o.accepted_at, o.failed_at
from conversation c join outbox o on o.conversation_id = c.id and o.workspace_id = c.workspace_id
where c.workspace_id = $1 and c.chat_id = $2 and o.attempted_at >= $3
order by o.position desc limit $4;

-- name: captions
-- What is said aloud in the call that runs in a chat.
select e.seq, e.kind, e.data
from conversation c join conversation_event e on e.conversation_id = c.id and e.workspace_id = c.workspace_id
where c.workspace_id = $1 and c.chat_id = $2 and not c.text_only and c.status in ('initiated', 'in-progress')
  and (e.kind = 'agent_interrupted' or (e.kind in ('user_message', 'agent_message') and e.data ->> 'medium' = 'audio'))
order by e.seq;

-- name: refusal
-- Why a call, which Meta knows by $2, came to nothing.
select reason from whatsapp_call where workspace_id = $1 and wacid = $2 and picked_up_at is null;

-- name: refused
-- Calls of a chat that came to nothing before a conversation began, from $3 on.
select v.id, v.result, v.reason, v.error_code, v.ended_at from whatsapp_call v
where v.workspace_id = $1 and v.chat_id = $2 and v.ended_at >= $3
  and not exists (select from conversation c where c.id = v.conversation_id and c.workspace_id = v.workspace_id)
order by v.ended_at desc limit $4;
