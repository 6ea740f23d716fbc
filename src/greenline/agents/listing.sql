-- The list is sorted by two keys, a text and a number, of which the order that is asked for uses one; the id
-- makes it total. Times are microseconds, so that they pass through a cursor unchanged. Names that were stored before
-- they had a limit are sorted by their first $12 characters: a cursor goes into an address.

-- name: page_asc
with found as (
  select a.id, a.name, a.tags, a.archived, a.main_branch_id, a.created_at, a.updated_at,
         case when $6 = 'name' then left(lower(a.name), $12) else '' end collate "C" as text_key,
         case $6
           when 'created_at' then (extract(epoch from a.created_at) * 1000000)::bigint
           when 'updated_at' then (extract(epoch from a.updated_at) * 1000000)::bigint
           when 'call_count_7d' then (
             select count(*) from conversation c
             where c.workspace_id = a.workspace_id and c.agent_id = a.id and c.started_at >= $7
           )
           else 0
         end as number_key
  from agent a
  where a.workspace_id = $1
    and ($2::text is null or position(lower($2) in lower(a.name)) > 0)
    and ($3::boolean is null or a.archived = $3)
    and ($4::text[] is null or a.tags && $4)
    and ($5::text is null or a.created_by = $5)
), page as (
  select * from found
  where $8::text is null or (text_key, number_key, id) > ($8, $9::bigint, $10::text)
  order by text_key asc, number_key asc, id asc
  limit $11
)
select p.*, v.config #>> '{conversation_config,tts,voice_id}' as voice_id,
       (select max(c.started_at) from conversation c where c.workspace_id = $1 and c.agent_id = p.id) as last_call_at
from page p
join agent_branch b on b.id = p.main_branch_id
join agent_version v on v.id = b.tip_version_id
order by p.text_key asc, p.number_key asc, p.id asc;

-- name: page_desc
with found as (
  select a.id, a.name, a.tags, a.archived, a.main_branch_id, a.created_at, a.updated_at,
         case when $6 = 'name' then left(lower(a.name), $12) else '' end collate "C" as text_key,
         case $6
           when 'created_at' then (extract(epoch from a.created_at) * 1000000)::bigint
           when 'updated_at' then (extract(epoch from a.updated_at) * 1000000)::bigint
           when 'call_count_7d' then (
             select count(*) from conversation c
             where c.workspace_id = a.workspace_id and c.agent_id = a.id and c.started_at >= $7
           )
           else 0
         end as number_key
  from agent a
  where a.workspace_id = $1
    and ($2::text is null or position(lower($2) in lower(a.name)) > 0)
    and ($3::boolean is null or a.archived = $3)
    and ($4::text[] is null or a.tags && $4)
    and ($5::text is null or a.created_by = $5)
), page as (
  select * from found
  where $8::text is null or (text_key, number_key, id) < ($8, $9::bigint, $10::text)
  order by text_key desc, number_key desc, id desc
  limit $11
)
select p.*, v.config #>> '{conversation_config,tts,voice_id}' as voice_id,
       (select max(c.started_at) from conversation c where c.workspace_id = $1 and c.agent_id = p.id) as last_call_at
from page p
join agent_branch b on b.id = p.main_branch_id
join agent_version v on v.id = b.tip_version_id
order by p.text_key desc, p.number_key desc, p.id desc;

-- name: summaries
select a.id, a.name, a.tags, a.archived, a.created_at, a.updated_at,
       v.config #>> '{conversation_config,tts,voice_id}' as voice_id,
       (select max(c.started_at) from conversation c where c.workspace_id = $1 and c.agent_id = a.id) as last_call_at
from agent a
join agent_branch b on b.id = a.main_branch_id
join agent_version v on v.id = b.tip_version_id
where a.workspace_id = $1 and a.id = any($2::text[]);
