-- $2 is the filter as a JSON object that holds only what is asked for (listing.py builds it): an absent key takes all.

-- name: page
-- $3: direction; $4, $5: start and id of the last row seen, or null; $6: how many. Ids compare by their bytes,
-- whatever the collation of the database.
with matching as not materialized (
  select c.*, a.name as agent_name, w.wa_id, w.bsuid
  from conversation c
  left join agent a on a.id = c.agent_id and a.workspace_id = c.workspace_id
  left join whatsapp_chat w on w.id = c.chat_id and w.workspace_id = c.workspace_id
  cross join lateral (
    select case when c.accepted_at is null then 0 else greatest(0, floor(extract(epoch from coalesce(
      c.ended_at, greatest(c.last_agent_message_at, c.last_user_message_at), c.accepted_at) - c.accepted_at)))
    end as duration
  ) d
  where c.workspace_id = $1
    and (not $2::jsonb ? 'agent_id' or c.agent_id = $2 ->> 'agent_id')
    and (not $2 ? 'visited_agent_ids' or $2 -> 'visited_agent_ids' ? c.agent_id)
    and (not $2 ? 'branch_id' or c.branch_id = $2 ->> 'branch_id')
    and (not $2 ? 'visited_agent_branch_ids' or $2 -> 'visited_agent_branch_ids' ? c.branch_id)
    and (not $2 ? 'version_id' or c.version_id = $2 ->> 'version_id')
    and (not $2 ? 'user_id' or c.user_id = $2 ->> 'user_id')
    and (not $2 ? 'call_successful' or coalesce(c.call_successful, 'unknown') = $2 ->> 'call_successful')
    and (not $2 ? 'started_from' or c.started_at >= ($2 ->> 'started_from')::timestamptz)
    and (not $2 ? 'started_before' or c.started_at < ($2 ->> 'started_before')::timestamptz)
    and (not $2 ? 'duration_min' or d.duration >= ($2 ->> 'duration_min')::numeric)
    and (not $2 ? 'duration_max' or d.duration <= ($2 ->> 'duration_max')::numeric)
    and (not $2 ? 'rating_min' or c.rating >= ($2 ->> 'rating_min')::int)
    and (not $2 ? 'rating_max' or c.rating <= ($2 ->> 'rating_max')::int)
    and (not $2 ? 'has_feedback_comment'
      or (coalesce(c.feedback ->> 'comment', '') <> '') = ($2 ->> 'has_feedback_comment')::boolean)
    and (not $2 ? 'main_languages' or $2 -> 'main_languages' ? c.main_language)
    and (not $2 ? 'phone_number_ids' or (c.source <> 'whatsapp' and $2 -> 'phone_number_ids' ? c.phone_number_id))
    and (not $2 ? 'whatsapp_phone_number_ids'
      or (c.source = 'whatsapp' and $2 -> 'whatsapp_phone_number_ids' ? c.phone_number_id))
    and (not $2 ? 'source' or c.source = $2 ->> 'source')
    and (not $2 ? 'text_only' or c.text_only = ($2 ->> 'text_only')::boolean)
    and (not $2 ? 'exclude_statuses' or not $2 -> 'exclude_statuses' ? c.status)
    and (not $2 ? 'termination_reasons' or $2 -> 'termination_reasons' ? c.termination_reason)
    and (not $2 ? 'tools' or not exists (
      -- Every wish about tools needs an event of the journal that fulfils it: a call, or for `outcome` its return.
      select from jsonb_to_recordset($2 -> 'tools') as wish(key text, "values" jsonb, outcome text, invalid boolean)
      where not exists (
        select from conversation_event e
        where e.conversation_id = c.id and e.workspace_id = c.workspace_id
          and e.kind = case when wish.invalid and wish.outcome is null then 'tool_called' else 'tool_returned' end
          and wish."values" ? case
            when wish.key = 'name' then e.data ->> 'name'
            when coalesce(e.data ->> 'tool_id', '') <> '' then e.data ->> 'tool_id'
            when coalesce(e.data ->> 'type', 'system') = 'system' then '__system_' || (e.data ->> 'name')
          end
          and (wish.invalid or not $2 -> 'never_ran' ? coalesce(e.data ->> 'error_type', ''))
          and (wish.outcome is null
            or (wish.outcome = 'errored') = coalesce((e.data ->> 'is_error')::boolean, false))
      )
    ))
    and (not $2 ? 'guardrail_types' or exists (
      select from conversation_event e cross join jsonb_array_elements(e.data -> 'hits') as hit
      where e.conversation_id = c.id and e.workspace_id = c.workspace_id and e.kind = 'guardrails_checked'
        and $2 -> 'guardrail_types' ? (hit ->> 'type')
    ))
    and (not $2 ? 'custom_guardrail_names' or exists (
      select from conversation_event e cross join jsonb_array_elements(e.data -> 'hits') as hit
      where e.conversation_id = c.id and e.workspace_id = c.workspace_id and e.kind = 'guardrails_checked'
        and hit ->> 'type' = 'custom' and $2 -> 'custom_guardrail_names' ? (hit ->> 'name')
    ))
    and (not $2 ? 'variables' or not exists (
      -- A variable that is not set counts as the empty text. Only plain numbers are compared as numbers.
      select from jsonb_to_recordset($2 -> 'variables') as wish(name text, op text, "values" jsonb, number numeric)
      cross join lateral (
        select coalesce((
          select e.data -> 'variables' ->> wish.name from conversation_event e
          where e.conversation_id = c.id and e.workspace_id = c.workspace_id and e.kind = 'started'
          order by e.seq limit 1
        ), '') as value
      ) v
      cross join lateral (
        select case when v.value ~ '^-?[0-9]{1,100}(\.[0-9]{1,100})?$' then v.value::numeric end as number
      ) n
      where not coalesce(case wish.op
        when 'in' then wish."values" ? v.value
        when 'neq' then not wish."values" ? v.value
        when 'gt' then n.number > wish.number
        when 'gte' then n.number >= wish.number
        when 'lt' then n.number < wish.number
        when 'lte' then n.number <= wish.number
      end, false)
    ))
    and (not $2 ? 'search' or not exists (
      -- Every word stands in some message.
      select from jsonb_array_elements_text($2 -> 'search') as word
      where not exists (
        select from conversation_event e
        where e.conversation_id = c.id and e.workspace_id = c.workspace_id
          and e.kind in ('user_message', 'agent_message')
          and position(lower(word) in lower(e.data ->> 'text')) > 0
      )
    ))
)
(
  select * from matching
  where $3 = 'desc' and ($4::timestamptz is null or (started_at, id collate "C") < ($4, $5::text))
  order by started_at desc, id collate "C" desc
  limit $6
)
union all
(
  select * from matching
  where $3 = 'asc' and ($4::timestamptz is null or (started_at, id collate "C") > ($4, $5::text))
  order by started_at, id collate "C"
  limit $6
);
