-- name: insert_agent
insert into agent (id, workspace_id, name, tags, archived, shared, main_branch_id, created_by, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9);

-- name: insert_branch
insert into agent_branch (id, workspace_id, agent_id, name, description, tip_version_id, traffic_percentage,
                          created_at, last_committed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8);

-- name: insert_version
insert into agent_version (id, workspace_id, agent_id, branch_id, number, config, description, parent_version_id,
                           created_by, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: tip
-- The newest version of a branch (of the main one when none is named), without its definition.
select v.id, v.branch_id, v.agent_id, a.name, a.tags, a.shared, a.archived, a.main_branch_id,
       a.created_at, a.updated_at
from agent a
join agent_branch b on b.agent_id = a.id and b.id = coalesce($3, a.main_branch_id)
join agent_version v on v.id = b.tip_version_id
where a.workspace_id = $1 and a.id = $2;

-- name: version
-- A version by its id, without its definition.
select v.id, v.branch_id, v.agent_id, a.name, a.tags, a.shared, a.archived, a.main_branch_id,
       a.created_at, a.updated_at
from agent_version v
join agent a on a.id = v.agent_id
where v.workspace_id = $1 and v.id = $2;

-- name: definition
select config from agent_version where workspace_id = $1 and id = $2;

-- name: agent_exists
select exists (select from agent where workspace_id = $1 and id = $2);

-- name: lock_agents
-- In the order of ids, so that two transactions never wait for each other.
select id, name, tags, shared, archived, main_branch_id
from agent
where workspace_id = $1 and id = any($2::text[])
order by id
for update;

-- name: branch_for_commit
select b.id, b.tip_version_id, v.number, v.config
from agent_branch b
join agent_version v on v.id = b.tip_version_id
where b.workspace_id = $1 and b.agent_id = $2 and b.id = $3;

-- name: move_tip
update agent_branch set tip_version_id = $3, last_committed_at = $4 where workspace_id = $1 and id = $2;

-- name: update_agent
update agent set name = $3, tags = $4, archived = $5, shared = $6, updated_at = $7
where workspace_id = $1 and id = $2;

-- name: orphan_pictures
-- Uploaded pictures that no agent but $2 shows in any version: they go after it. $3: what finds their ids in a URL.
insert into orphaned_file(workspace_id, file_id)
select distinct $1, substring(v.config #>> '{platform_settings,widget,avatar,url}' from $3)
from agent_version v
where v.workspace_id = $1 and v.agent_id = $2 and v.config #>> '{platform_settings,widget,avatar,url}' ~ $3
  and not exists (
    select from agent_version o
    where o.workspace_id = $1 and o.agent_id <> $2
      and substring(o.config #>> '{platform_settings,widget,avatar,url}' from $3)
        = substring(v.config #>> '{platform_settings,widget,avatar,url}' from $3))
on conflict do nothing;

-- name: orphan_hold_audio
-- Uploaded recordings that no agent but $2 plays in any version: they go after it.
insert into orphaned_file(workspace_id, file_id)
select distinct $1, v.config #>> '{platform_settings,queueing_config,hold_audio,audio_path}'
from agent_version v
where v.workspace_id = $1 and v.agent_id = $2
  and v.config #>> '{platform_settings,queueing_config,hold_audio,audio_path}' ~ '^hold_[0-9a-z]{26}$'
  and not exists (
    select from agent_version o
    where o.workspace_id = $1 and o.agent_id <> $2
      and o.config #>> '{platform_settings,queueing_config,hold_audio,audio_path}'
        = v.config #>> '{platform_settings,queueing_config,hold_audio,audio_path}')
on conflict do nothing;

-- name: ring_chats
-- The chats in which the agent is at work are looked at once it is gone: what is open there ends. $3: now.
with rung as (
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select distinct chat_id, workspace_id, 'chat', $3::timestamptz from conversation
  where workspace_id = $1 and agent_id = $2 and text_only and chat_id is not null
    and status in ('initiated', 'in-progress')
  order by chat_id
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
)
select count(pg_notify('greenline_work', 'chat ' || id)) from rung;

-- name: workspaces_of_picture
-- scope: system, a page shows the picture to everybody, and learns the workspace by its id
select distinct workspace_id from agent_version
where substring(config #>> '{platform_settings,widget,avatar,url}' from 'avatar_[0-9a-z]{26}$') = $1
limit 10;

-- name: workspaces_of_hold_audio
-- scope: system, it is played to everybody, and learns the workspace by its id
select distinct workspace_id from agent_version
where config #>> '{platform_settings,queueing_config,hold_audio,audio_path}' = $1
limit 10;

-- name: delete_agent
delete from agent where workspace_id = $1 and id = $2;

-- name: tips_that_mention
-- Tips of other agents in which the id stands anywhere as an agent: a first sieve, cheap and too wide.
select b.agent_id, b.id as branch_id, a.name
from agent_branch b
join agent a on a.id = b.agent_id
join agent_version v on v.id = b.tip_version_id
where b.workspace_id = $1 and b.agent_id <> $2
  and jsonb_path_exists(v.config, '$.** ? (@.agent_id == $id)', jsonb_build_object('id', $2::text))
order by b.agent_id, b.created_at, b.id;

-- name: branches_to_copy
select b.id, b.name, b.description, b.traffic_percentage, v.config
from agent_branch b
join agent_version v on v.id = b.tip_version_id
where b.workspace_id = $1 and b.agent_id = $2 and not b.is_archived
order by b.created_at, b.id;

-- name: whatsapp_accounts
select w.phone_number_id, w.business_account_id, w.business_account_name, w.phone_number_name, w.phone_number,
       w.account_type, w.assigned_agent_id, a.name as assigned_agent_name, w.enable_messaging,
       w.enable_audio_message_response, w.enable_typing_indicator, w.is_token_expired, w.findings
from whatsapp_account w
join agent a on a.id = w.assigned_agent_id
where w.workspace_id = $1 and w.assigned_agent_id = $2
order by w.created_at, w.phone_number_id;
