-- Turns of a chat: what one needs to know, and the one transaction that ends it.

-- name: load
-- What a claim of the chat's mailbox brings along; null when the account was removed. Takes the workspace_id.
select whatsapp_turn($1, $2);

-- name: unreached
-- The conversations among $2 of which every message failed, and why the last one did.
select conversation_id, (array_agg(error order by failed_at desc nulls last, position desc))[1] as error
from outbox
where workspace_id = $1 and conversation_id = any($2::text[])
group by conversation_id
having bool_and(state = 'failed');

-- name: remembered
-- The last messages of the thread's conversations but $5, and how far those that were cut short were heard; oldest
-- first.
with said as materialized (
  select e.conversation_id, e.seq, e.at, e.kind, e.data
  from conversation_event e join conversation v on v.id = e.conversation_id
  where v.workspace_id = $1 and v.chat_id = $2 and v.id is distinct from $5
    and e.kind in ('user_message', 'agent_message', 'tool_returned') and e.at > $3
    and coalesce(nullif(e.data ->> 'said', ''), e.data ->> 'text') <> ''
  order by e.at desc, e.seq desc
  limit $4
)
select conversation_id, at, seq, kind, data from said
union all
select e.conversation_id, e.at, e.seq, e.kind, e.data from said m
join conversation_event e on e.conversation_id = m.conversation_id and e.workspace_id = $1
  and e.kind = 'agent_interrupted' and e.data ->> 'message_id' = m.data ->> (
    case m.kind when 'agent_message' then 'id' else 'request_id' end)
where m.kind <> 'user_message'
order by at, seq;

-- name: last_summary
select summary from conversation
where workspace_id = $1 and chat_id = $2 and summary is not null and started_at > $3
order by started_at desc
limit 1;

-- name: quoted
-- What was said in the message that the person quotes: ours by the outbox, theirs by the journal.
select coalesce(
  (select string_agg(coalesce(nullif(e.data ->> 'said', ''), e.data ->> 'text'), E'\n\n' order by e.seq)
   from outbox o
   join conversation_event e on e.conversation_id = o.conversation_id
     and (e.data -> 'outbox_ids' ? o.id or e.data -> 'fallback_ids' ? o.id)
   where o.workspace_id = $1 and o.chat_id = $2 and o.wamid = $3),
  (select e.data ->> 'text' from conversation v join conversation_event e on e.conversation_id = v.id
   where v.workspace_id = $1 and v.chat_id = $2 and e.kind = 'user_message' and e.data ->> 'wamid' = $3 limit 1));

-- name: commit
-- scope: system, turns of many workspaces share a commit; every row carries its workspace_id
-- $1: array of turns (see commit.py). $2: now. A turn whose epoch is not its mailbox's any more changes nothing.
with turn as materialized (
  select * from jsonb_to_recordset($1::jsonb) as t(
    mailbox_id text, workspace_id text, epoch bigint, arrivals bigint, timer_at timestamptz, chat jsonb,
    done jsonb, conversations jsonb, events jsonb, files jsonb, outbox jsonb, booking jsonb)
), held as materialized (
  select m.id, m.epoch, m.arrivals from mailbox m join turn t on t.mailbox_id = m.id and t.epoch = m.epoch
  order by m.id
  for update of m
), live as materialized (
  -- A turn that lost its mailbox may share the commit with the one that has it now.
  select t.*, h.arrivals > t.arrivals as has_more from turn t join held h on h.id = t.mailbox_id and h.epoch = t.epoch
), leaving as materialized (
  -- Booked messages that leave with this commit: whoever booked one still holds the number, nothing of the chat waits
  -- before it, and the pace of the pair is as it was judged.
  select b.id, l.mailbox_id, b.pair_clock
  from live l
  cross join lateral jsonb_to_record(l.booking) as b(
    id text, sender text, epoch bigint, pair_clock timestamptz, pair_seen timestamptz)
  join mailbox s on s.id = b.sender and s.epoch = b.epoch
  join whatsapp_chat c on c.id = l.mailbox_id and c.pair_clock is not distinct from b.pair_seen
  where l.booking is not null and not exists (
    select 1 from outbox o
    where o.phone_number_id = c.phone_number_id and o.chat_id = c.id and o.state in ('queued', 'sending', 'unknown'))
), released as (
  update mailbox m set owner = null, lease_until = null, attempt = 0, epoch = m.epoch + 1,
    due_at = case when l.has_more then $2::timestamptz else l.timer_at end
  from live l where m.id = l.mailbox_id
), answered as (
  update inbox i set done_at = $2, error = d.error
  from live l, jsonb_to_recordset(l.done) as d(id bigint, error text) where i.id = d.id
), cleared as (
  delete from turn_step s using live l where s.mailbox_id = l.mailbox_id
), chatted as (
  update whatsapp_chat c set
    wa_id = coalesce(l.chat ->> 'wa_id', c.wa_id),
    bsuid = coalesce(l.chat ->> 'bsuid', c.bsuid),
    profile_name = coalesce(l.chat ->> 'profile_name', c.profile_name),
    username = coalesce(l.chat ->> 'username', c.username),
    last_user_message_at = greatest(c.last_user_message_at, (l.chat ->> 'last_user_message_at')::timestamptz),
    last_inbound_wamid = coalesce(l.chat ->> 'last_inbound_wamid', c.last_inbound_wamid),
    marketing_stopped = case when (l.chat ->> 'marketing_changed_at')::timestamptz < c.marketing_changed_at
      then c.marketing_stopped else coalesce((l.chat ->> 'marketing_stopped')::boolean, c.marketing_stopped) end,
    marketing_changed_at = greatest(c.marketing_changed_at, (l.chat ->> 'marketing_changed_at')::timestamptz),
    unsupported_told_in = coalesce(l.chat ->> 'unsupported_told_in', c.unsupported_told_in),
    pair_clock = coalesce(g.pair_clock, c.pair_clock)
  from live l left join leaving g on g.mailbox_id = l.mailbox_id
  where c.id = l.mailbox_id and c.workspace_id = l.workspace_id and (l.chat is not null or g.id is not null)
), identified as (
  insert into chat_identity as i(phone_number_id, identifier, chat_id)
  select distinct on (c.phone_number_id, n.identifier) c.phone_number_id, n.identifier, l.mailbox_id
  from live l join whatsapp_chat c on c.id = l.mailbox_id,
    unnest(array[l.chat ->> 'wa_id', l.chat ->> 'bsuid']) as n(identifier)
  where l.chat is not null and n.identifier is not null
  order by c.phone_number_id, n.identifier
  on conflict (phone_number_id, identifier) do update set chat_id = excluded.chat_id
    where i.chat_id <> excluded.chat_id
), parted as (
  -- A number that leads to this chat from now on was that of another person, who has an id of their own.
  update whatsapp_chat o set wa_id = null
  from live l join whatsapp_chat c on c.id = l.mailbox_id
  join chat_identity i on i.phone_number_id = c.phone_number_id and i.identifier = l.chat ->> 'wa_id'
  where o.id = i.chat_id and o.wa_id = i.identifier and o.bsuid is not null
    and o.id not in (select mailbox_id from live)
), forgotten as (
  delete from chat_identity i
  using live l join whatsapp_chat c on c.id = l.mailbox_id
  cross join lateral jsonb_array_elements_text(l.chat -> 'forget') as f(identifier)
  where i.phone_number_id = c.phone_number_id and i.identifier = f.identifier and i.chat_id = c.id
), row as materialized (
  select r.* from live l, jsonb_to_recordset(l.conversations) as r(
    id text, workspace_id text, agent_id text, branch_id text, version_id text, environment text, source text,
    direction text, text_only boolean, chat_id text, phone_number_id text, user_id text, status text,
    awaiting_first_user_message boolean, termination_reason text, error jsonb, started_at timestamptz,
    accepted_at timestamptz, ended_at timestamptz, last_agent_message_at timestamptz,
    last_user_message_at timestamptz, message_count int, user_message_count int, agent_message_count int,
    tool_names jsonb, llm_usage jsonb, call_successful text, initiation jsonb, authorization_method text,
    speech_price float, main_language text, events int)
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
    user_id = excluded.user_id, speech_price = excluded.speech_price,
    main_language = excluded.main_language, last_seq = c.last_seq + excluded.last_seq
  returning c.id, c.last_seq
), journaled as (
  insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
  select e.conversation_id, s.last_seq - r.events + e.nth, e.workspace_id, e.at, e.kind, e.data
  from (
    select v.conversation_id, v.at, v.kind, v.data, l.workspace_id,
      row_number() over (partition by v.conversation_id order by (v.place)) as nth
    from live l, rows from (jsonb_to_recordset(l.events) as (
      conversation_id text, at timestamptz, kind text, data jsonb)) with ordinality
      as v(conversation_id, at, kind, data, place)
  ) e
  join saved s on s.id = e.conversation_id
  join row r on r.id = e.conversation_id
), filed as (
  insert into conversation_file(id, workspace_id, conversation_id, filename, mime_type, size_bytes, sha256, created_at,
    seconds)
  select f.id, l.workspace_id, f.conversation_id, f.filename, f.mime_type, f.size_bytes, decode(f.sha256, 'hex'), $2,
    f.seconds
  from live l, jsonb_to_recordset(l.files) as f(
    id text, conversation_id text, filename text, mime_type text, size_bytes bigint, sha256 text, seconds float)
  on conflict (id) do nothing
), queued as (
  insert into outbox(
    id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, fallback, due_at, created_at, state,
    attempt, attempted_at)
  select o.id, l.workspace_id, o.phone_number_id, o.chat_id, o.conversation_id, o.kind, o.body, o.fallback, $2, $2,
    case when g.id is null then 'queued' else 'sending' end, case when g.id is null then 0 else 1 end,
    case when g.id is not null then $2 end
  from live l cross join lateral rows from (jsonb_to_recordset(l.outbox) as (
    id text, phone_number_id text, chat_id text, conversation_id text, kind text, body jsonb,
    fallback jsonb)) with ordinality as o(id, phone_number_id, chat_id, conversation_id, kind, body, fallback, place)
  left join leaving g on g.id = o.id
  order by l.mailbox_id, o.place
  on conflict (id) do nothing
  returning id, phone_number_id, workspace_id, chat_id, state
), rung as (
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select distinct on (phone_number_id) 'sender:' || phone_number_id, workspace_id, 'sender', $2::timestamptz
  from queued where state = 'queued'
  order by phone_number_id
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
), analysed as (
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select 'analysis:' || id, workspace_id, 'analysis', $2::timestamptz from row where status = 'processing'
  order by id
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
)
select l.mailbox_id, l.epoch, l.has_more,
  exists (select 1 from queued q where q.chat_id = l.mailbox_id and q.state = 'sending') as leaves,
  (select count(pg_notify('greenline_work', 'sender ' || id)) from rung),
  case when exists (select 1 from analysed) then pg_notify('greenline_work', 'analysis') end
from live l;
