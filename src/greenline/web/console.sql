-- name: inbox
-- The conversations that began last, with what an inbox shows of each. $2: how many; $3: words in lower case that
-- must all be known of a conversation; $4, $5: start and id of the last one seen, or null. Ids compare by their bytes. $6: which
-- ones: all, open, human (has taken over), failed (or a message of it), calls.
select c.id, c.status, c.error, c.termination_reason, c.agent_id, a.name as agent_name, c.started_at,
  greatest(c.started_at, c.last_user_message_at, c.last_agent_message_at) as active_at,
  w.profile_name, w.wa_id, w.bsuid, c.user_id, c.source, c.text_only, n.phone_number_name,
  l.speaker, l.text as last_text, f.failures, coalesce(h.is_human, false) as is_human
from conversation c
left join agent a on a.id = c.agent_id and a.workspace_id = c.workspace_id
left join whatsapp_chat w on w.id = c.chat_id and w.workspace_id = c.workspace_id
left join whatsapp_account n on n.phone_number_id = c.phone_number_id and n.workspace_id = c.workspace_id
left join lateral (
  select case when e.kind = 'user_message' then 'person' when e.data ->> 'origin' = 'human' then 'human' else 'agent' end
    as speaker, left(e.data ->> 'text', 160) as text
  from conversation_event e
  where e.conversation_id = c.id and e.workspace_id = c.workspace_id
    and e.kind in ('user_message', 'agent_message') and e.data ->> 'text' <> ''
  order by e.seq desc limit 1
) l on true
left join lateral (
  select count(*) as failures from outbox o
  where o.conversation_id = c.id and o.workspace_id = c.workspace_id and o.state = 'failed'
) f on true
left join lateral (
  select (e.data ->> 'active')::boolean as is_human from conversation_event e
  where e.conversation_id = c.id and e.workspace_id = c.workspace_id and e.kind = 'human_takeover'
  order by e.seq desc limit 1
) h on true
where c.workspace_id = $1
  and case $6
    when 'open' then c.status in ('initiated', 'in-progress')
    when 'human' then c.status = 'in-progress' and h.is_human
    when 'failed' then c.status = 'failed' or f.failures > 0
    when 'calls' then not c.text_only
    else true end
  and ($4::timestamptz is null or (c.started_at, c.id collate "C") < ($4, $5::text))
  and not exists (
    select from unnest($3::text[]) as word
    where position(word in lower(concat_ws(' ', w.profile_name, w.wa_id, w.bsuid, c.user_id, c.id, c.title))) = 0
      and not exists (
        select from conversation_event e
        where e.conversation_id = c.id and e.workspace_id = c.workspace_id
          and e.kind in ('user_message', 'agent_message') and position(word in lower(e.data ->> 'text')) > 0
      )
  )
order by c.started_at desc, c.id collate "C" desc
limit $2;

-- name: place
-- How far a conversation's journal goes: changes with everything that a page shows of it.
select last_seq, status, title, exists (
  select from conversation_recording r where r.conversation_id = c.id and r.workspace_id = c.workspace_id
) as has_recording, (
  select array_agg(v.phase) from whatsapp_call v where v.conversation_id = c.id and v.workspace_id = c.workspace_id
) as phases
from conversation c where workspace_id = $1 and id = $2;

-- name: call
-- The call that a conversation is.
select direction, phase, permission_state, result, reason, error_code, picked_up_at
from whatsapp_call where workspace_id = $1 and conversation_id = $2
order by created_at desc limit 1;

-- name: person
select w.profile_name, w.wa_id, w.bsuid, w.last_user_message_at, n.phone_number_name, n.phone_number, n.phone_number_id,
  c.user_id, c.source, c.text_only, c.agent_id
from conversation c
left join whatsapp_chat w on w.id = c.chat_id and w.workspace_id = c.workspace_id
left join whatsapp_account n on n.phone_number_id = c.phone_number_id and n.workspace_id = c.workspace_id
where c.workspace_id = $1 and c.id = $2;

-- name: is_human
-- Whether a human has taken over.
select (data ->> 'active')::boolean from conversation_event
where workspace_id = $1 and conversation_id = $2 and kind = 'human_takeover'
order by seq desc limit 1;

-- name: failures
-- Turns that failed.
select at, data ->> 'code' as code, data ->> 'reason' as reason from conversation_event
where workspace_id = $1 and conversation_id = $2 and kind = 'turn_failed' order by seq;

-- name: recorded_from
-- When the sound of a conversation begins: with it, or when the person picked up.
select max(at) from conversation_event
where workspace_id = $1 and conversation_id = $2 and kind in ('started', 'resumed');

-- name: agent_names
-- For choosing one.
select id, name from agent where workspace_id = $1 order by lower(name), id limit 500;
