-- Numbers of a workspace.

-- name: list
-- All numbers, or those of one agent ($2), oldest first.
select w.*, a.name as assigned_agent_name
from whatsapp_account w
left join agent a on a.id = w.assigned_agent_id and a.workspace_id = w.workspace_id
where w.workspace_id = $1 and ($2::text is null or w.assigned_agent_id = $2)
order by w.created_at, w.phone_number_id;

-- name: get
select w.*, a.name as assigned_agent_name
from whatsapp_account w
left join agent a on a.id = w.assigned_agent_id and a.workspace_id = w.workspace_id
where w.workspace_id = $1 and w.phone_number_id = $2;

-- name: owner
-- scope: system, a number is in one workspace at a time: its workspace_id tells whether it is taken
select workspace_id from whatsapp_account where phone_number_id = $1;

-- name: agent_exists
select true from agent where workspace_id = $1 and id = $2;

-- name: save
-- A new number, or a new token for one of this workspace. Gives no row when the number is in another workspace.
insert into whatsapp_account as w(
  phone_number_id, workspace_id, business_account_id, business_account_name, phone_number_name, phone_number,
  account_type, token, findings, throughput_level, token_checked_at, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, coalesce($7, 'cloud_api'), $8, $9, $11, $10, $10, $10)
on conflict (phone_number_id) do update set
  business_account_id = excluded.business_account_id, business_account_name = excluded.business_account_name,
  phone_number_name = excluded.phone_number_name, phone_number = excluded.phone_number,
  account_type = coalesce($7, w.account_type), token = excluded.token, is_token_expired = false,
  findings = excluded.findings, throughput_level = excluded.throughput_level,
  token_checked_at = excluded.token_checked_at, updated_at = excluded.updated_at
  where w.workspace_id = excluded.workspace_id
returning phone_number_id;

-- name: ring_sender
-- Whoever sends for the number takes its new token, and what waited for one goes. Before `save`: a removal locks in
-- this order. $3: now.
update mailbox set arrivals = arrivals + 1, due_at = least(due_at, $3::timestamptz)
where workspace_id = $1 and id = 'sender:' || $2
returning pg_notify('greenline_work', 'sender ' || id);

-- name: update
-- $3: whether the agent changes, to $4. A switch that is null stays.
update whatsapp_account set
  assigned_agent_id = case when $3 then $4 else assigned_agent_id end,
  enable_messaging = coalesce($5, enable_messaging),
  enable_audio_message_response = coalesce($6, enable_audio_message_response),
  enable_typing_indicator = coalesce($7, enable_typing_indicator),
  updated_at = $8
where workspace_id = $1 and phone_number_id = $2
returning phone_number_id;

-- name: lock_mailboxes
-- Nobody works for the number any more once these are gone: a turn that runs can't commit.
select m.id from mailbox m
where m.workspace_id = $1
  and (m.id = 'sender:' || $2 or m.id in (select id from whatsapp_chat where workspace_id = $1 and phone_number_id = $2))
order by m.id
for update;

-- name: unsent
select id from outbox
where workspace_id = $1 and phone_number_id = $2 and state in ('queued', 'sending', 'unknown');

-- name: end_calls
-- Whoever holds a call of the number ends it, at Meta too. $3: now, $4: the order to do so.
with living as (
  select c.id, c.mailbox_id from whatsapp_call c
  join mailbox m on m.id = c.mailbox_id and m.owner is not null
  where c.workspace_id = $1 and c.phone_number_id = $2 and c.phase <> 'ended'
), placed as (
  insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at)
  select $1, 'removed:' || id, mailbox_id, 'order', $4, $3 from living
  on conflict (dedupe) do nothing
), rung as (
  update mailbox m set arrivals = m.arrivals + 1, due_at = least(m.due_at, $3::timestamptz)
  from living where m.id = living.mailbox_id
  returning m.id
)
select pg_notify('greenline_work', 'call ' || id) from rung;

-- name: end_conversations
-- Conversations stay, and end here; what a process holds, such as a call, it ends itself. $4: data of the event.
with ended as (
  update conversation set status = 'done', ended_at = $3, awaiting_first_user_message = false,
    termination_reason = $4::jsonb ->> 'reason', last_seq = last_seq + 1,
    call_successful = case when not awaiting_first_user_message then 'success' end
  where workspace_id = $1 and phone_number_id = $2 and source = 'whatsapp' and status in ('initiated', 'in-progress')
    and not exists (select from mailbox m where m.id = 'live:' || conversation.id and m.owner is not null)
  returning id, last_seq
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select id, last_seq, $1, $3, 'ended', $4::jsonb from ended;

-- name: end_inbox
update inbox set done_at = $3, error = 'the account was removed'
where workspace_id = $1 and done_at is null
  and mailbox_id in (select id from whatsapp_chat where workspace_id = $1 and phone_number_id = $2);

-- name: drop_steps
delete from turn_step
where workspace_id = $1
  and mailbox_id in (select id from whatsapp_chat where workspace_id = $1 and phone_number_id = $2);

-- name: drop_mailboxes
delete from mailbox where workspace_id = $1 and id = any($2::text[]);

-- name: forget_people
-- scope: system, the number is of the caller's workspace; identities have no workspace_id of their own
delete from chat_identity where phone_number_id = $1;

-- name: delete
delete from whatsapp_account where workspace_id = $1 and phone_number_id = $2
returning business_account_id, token;

-- name: others_of_business_account
-- scope: system, the app is subscribed once for all workspaces (workspace_id) that hold numbers of the account
select count(*) from whatsapp_account where business_account_id = $1;

-- name: mark_token_expired
-- $3 is the token that Meta refused: another one that has taken its place may be alive.
update whatsapp_account set is_token_expired = true, token_checked_at = $4, updated_at = $4,
  findings = coalesce((select jsonb_agg(f) from jsonb_array_elements(findings) f where f ->> 'code' <> $5), '[]')
    || jsonb_build_array(jsonb_build_object('code', $5::text, 'message', $6::text))
where workspace_id = $1 and phone_number_id = $2 and token = $3 and not is_token_expired
returning phone_number_id;

-- name: add_finding
-- It takes the place of one with the same code; a token that has taken the place of $3 may fare better.
update whatsapp_account set
  findings = coalesce((select jsonb_agg(f) from jsonb_array_elements(findings) f where f ->> 'code' <> $4), '[]')
    || jsonb_build_array(jsonb_build_object('code', $4::text, 'message', $5::text))
where workspace_id = $1 and phone_number_id = $2 and token = $3;

-- name: claim_checks
-- scope: system, tokens of all workspaces are checked; each row has its workspace_id
-- Numbers not checked since $2, claimed by moving their time to $1: replicas share the work. Not those in $4.
update whatsapp_account set token_checked_at = $1
where phone_number_id in (
  select phone_number_id from whatsapp_account
  where not is_token_expired and (token_checked_at is null or token_checked_at < $2)
    and phone_number_id <> all($4::text[])
  order by token_checked_at nulls first, phone_number_id
  limit $3
  for update skip locked
)
returning phone_number_id, workspace_id, business_account_id, token;

-- name: check_again
-- The check of the token $3 came to nothing: it is due again.
update whatsapp_account set token_checked_at = null where workspace_id = $1 and phone_number_id = $2 and token = $3;

-- name: save_check
-- What Meta says of a number now. A token that was replaced meanwhile ($3 is the one that was checked) keeps its own.
update whatsapp_account set findings = $4, phone_number_name = coalesce($5, phone_number_name),
  throughput_level = coalesce($6, throughput_level)
where workspace_id = $1 and phone_number_id = $2 and token = $3;
