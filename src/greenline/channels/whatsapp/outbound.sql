-- Conversations that the business starts.

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
