-- Live conversations: held by one process, whose lease is the mailbox `live:<conversation id>`. It is kept for an hour
-- after the end: until then the last append may be repeated.

-- name: append
-- scope: system, conversations of many workspaces share a commit; every row carries its workspace_id
-- $1: array of appends (see journal.py). $2: now. One whose epoch is not its mailbox's any more changes nothing, nor
-- does one that is repeated; answers with the mailboxes of those that are written, now or before.
with append as materialized (
  select t.*, (t.epoch << 32) + t.number as place from jsonb_to_recordset($1::jsonb) as t(
    mailbox_id text, workspace_id text, epoch bigint, number bigint, conversation jsonb, events jsonb, done jsonb,
    ended boolean)
), held as materialized (
  select m.id, m.epoch, m.appended from mailbox m where m.id in (select mailbox_id from append)
  order by m.id
  for update of m
), live as materialized (
  select t.* from append t join held h on h.id = t.mailbox_id and h.epoch = t.epoch and h.appended < t.place
), row as materialized (
  select r.* from live l, jsonb_to_record(l.conversation) as r(
    id text, workspace_id text, agent_id text, branch_id text, version_id text, environment text, source text,
    direction text, text_only boolean, chat_id text, phone_number_id text, user_id text, status text,
    awaiting_first_user_message boolean, termination_reason text, error jsonb, started_at timestamptz,
    accepted_at timestamptz, ended_at timestamptz, last_agent_message_at timestamptz,
    last_user_message_at timestamptz, message_count int, user_message_count int, agent_message_count int,
    tool_names jsonb, llm_usage jsonb, call_successful text, initiation jsonb, authorization_method text, events int,
    speech_price float, main_language text)
), saved as (
  insert into conversation as c(
    id, workspace_id, agent_id, branch_id, version_id, environment, source, direction, text_only, chat_id,
    phone_number_id, user_id, status, awaiting_first_user_message, termination_reason, error, started_at, accepted_at,
    ended_at, last_agent_message_at, last_user_message_at, message_count, user_message_count, agent_message_count,
    tool_names, llm_usage, call_successful, initiation, authorization_method, speech_price,
    main_language, last_seq)
  select id, workspace_id, agent_id, branch_id, version_id, environment, source, direction, text_only, chat_id,
    phone_number_id, user_id, status, awaiting_first_user_message, termination_reason, error, started_at, accepted_at,
    ended_at, last_agent_message_at, last_user_message_at, message_count, user_message_count, agent_message_count,
    array(select jsonb_array_elements_text(tool_names)), llm_usage, call_successful, initiation,
    authorization_method, speech_price, main_language, events
  from row order by id
  on conflict (id) do update set
    status = excluded.status, awaiting_first_user_message = excluded.awaiting_first_user_message,
    termination_reason = excluded.termination_reason, error = excluded.error, accepted_at = excluded.accepted_at,
    ended_at = excluded.ended_at, last_agent_message_at = excluded.last_agent_message_at,
    last_user_message_at = excluded.last_user_message_at, message_count = excluded.message_count,
    user_message_count = excluded.user_message_count, agent_message_count = excluded.agent_message_count,
    tool_names = excluded.tool_names, llm_usage = excluded.llm_usage, call_successful = excluded.call_successful,
    speech_price = excluded.speech_price, main_language = excluded.main_language,
    last_seq = c.last_seq + excluded.last_seq
  returning c.id, c.last_seq
), journaled as (
  insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
  select r.id, s.last_seq - r.events + e.place, l.workspace_id, e.at, e.kind, e.data
  from live l
  join row r on r.id = l.conversation ->> 'id'
  join saved s on s.id = r.id,
  rows from (jsonb_to_recordset(l.events) as (at timestamptz, kind text, data jsonb)) with ordinality
    as e(at, kind, data, place)
), obeyed as (
  update inbox i set done_at = $2 from live l, jsonb_array_elements_text(l.done) as d(id) where i.id = d.id::bigint
), marked as (
  update mailbox m set
    appended = l.place,
    owner = case when not l.ended then m.owner end,
    lease_until = case when not l.ended then m.lease_until end,
    attempt = case when l.ended then 0 else m.attempt end,
    epoch = m.epoch + l.ended::int,
    due_at = case when l.ended then $2::timestamptz + interval '1 hour' else m.due_at end
  from live l where m.id = l.mailbox_id
), analysed as (
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select 'analysis:' || id, workspace_id, 'analysis', $2::timestamptz from row where status = 'processing'
  order by id
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
)
select t.mailbox_id, t.epoch, case when exists (select 1 from analysed) then pg_notify('greenline_work', 'analysis') end
from append t join held h on h.id = t.mailbox_id
where h.epoch = t.epoch or (h.appended >= t.place and h.appended >> 32 = t.epoch);

-- name: conversation
-- With the time of the last that is known of it.
select to_jsonb(c) as conversation, (
  select max(e.at) from conversation_event e where e.workspace_id = $1 and e.conversation_id = c.id
) as last_at
from conversation c where c.workspace_id = $1 and c.id = $2;

-- name: leave
-- The mailbox $2 of a conversation that is over, unless something has come in since it was claimed. What still waits in
-- it is done at $5, with $6 as what became of it.
with gone as (
  delete from mailbox where workspace_id = $1 and id = $2 and epoch = $3 and arrivals = $4 returning id
), late as (
  update inbox i set done_at = $5, error = $6
  from gone where i.workspace_id = $1 and i.mailbox_id = gone.id and i.done_at is null
)
select exists (select from gone);
