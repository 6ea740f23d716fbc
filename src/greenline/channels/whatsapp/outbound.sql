-- Conversations that the business starts.

-- name: known_chat
-- scope: system, identities hang on a number, which the caller's workspace_id owns
-- The chat of a person under one of their ids, the first of $2 that is known.
select chat_id from chat_identity
where phone_number_id = $1 and identifier = any($2::text[])
order by array_position($2, identifier)
limit 1;

-- name: meet
-- scope: system, identities hang on a number, which the caller's workspace_id owns
-- Every id leads to the chat $3 from now on, unless it led to another before.
insert into chat_identity as i(phone_number_id, identifier, chat_id)
select $1, identifier, $3 from unnest($2::text[]) as identifier order by identifier
on conflict (phone_number_id, identifier) do update set chat_id = i.chat_id
returning i.identifier, i.chat_id;

-- name: open_chat
insert into whatsapp_chat as c(id, workspace_id, phone_number_id, wa_id, bsuid, created_at)
values ($2, $1, $3, $4, $5, $6)
on conflict (id) do update set wa_id = coalesce(c.wa_id, excluded.wa_id), bsuid = coalesce(c.bsuid, excluded.bsuid)
  where c.workspace_id = excluded.workspace_id
returning marketing_stopped;

-- name: begin
-- A conversation with its first events. $2: the row; $3: its events, in order; $4: now.
with row as (
  select * from jsonb_to_record($2::jsonb) as r(
    id text, agent_id text, branch_id text, version_id text, environment text, source text, direction text,
    text_only boolean, chat_id text, phone_number_id text, user_id text, status text,
    awaiting_first_user_message boolean, started_at timestamptz, last_agent_message_at timestamptz,
    message_count int, agent_message_count int, initiation jsonb, authorization_method text,
    main_language text)
), saved as (
  insert into conversation(
    id, workspace_id, agent_id, branch_id, version_id, environment, source, direction, text_only, chat_id,
    phone_number_id, user_id, status, awaiting_first_user_message, started_at, last_agent_message_at, message_count,
    agent_message_count, initiation, authorization_method, main_language, last_seq)
  select id, $1, agent_id, branch_id, version_id, environment, source, direction, text_only, chat_id,
    phone_number_id, user_id, status, awaiting_first_user_message, started_at, last_agent_message_at, message_count,
    agent_message_count, initiation, authorization_method, main_language, jsonb_array_length($3::jsonb)
  from row
  returning id
)
insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
select saved.id, e.seq, $1, $4, e.event ->> 'kind', e.event -> 'data'
from saved, jsonb_array_elements($3::jsonb) with ordinality as e(event, seq);

-- name: queue
insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, due_at, created_at)
values ($2, $1, $3, $4, $5, $6, $7, $8, $8);
