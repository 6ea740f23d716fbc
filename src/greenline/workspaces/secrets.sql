-- name: insert
insert into workspace_secret (id, workspace_id, name, value, created_at, updated_at) values ($1, $2, $3, $4, $5, $5);

-- name: update
update workspace_secret set name = $3, value = $4, updated_at = $5 where workspace_id = $1 and id = $2 returning id;

-- name: one
select id, name, created_at from workspace_secret where workspace_id = $1 and id = $2;

-- name: page
-- The newest first, after the row ($3, $4); $2 begins the name, in any case. No limit when $5 is null.
select id, name, created_at from workspace_secret
where workspace_id = $1
  and ($2::text is null or starts_with(lower(name), lower($2)))
  and ($3::timestamptz is null or (created_at, id collate "C") < ($3, $4::text))
order by created_at desc, id collate "C" desc
limit $5;

-- name: values
select id, value from workspace_secret where workspace_id = $1 and id = any($2::text[]);

-- name: hold
-- Those of the ids that are there; none of them can be deleted before the transaction ends.
select id from workspace_secret where workspace_id = $1 and id = any($2::text[]) order by id for share;

-- name: lock
-- Waits for transactions that hold the secret, so that what they wrote is seen by the next statement.
select id from workspace_secret where workspace_id = $1 and id = $2 for update;

-- name: delete
delete from workspace_secret where workspace_id = $1 and id = $2;

-- name: agents
-- Agents of which the newest version of a branch names one of the secrets $2, the newest agents first; of each secret
-- $3 of them at most, after the agent ($4, $5).
with named as (
  select distinct secret #>> '{}' as secret_id, b.agent_id
  from agent_branch b
  join agent_version v on v.id = b.tip_version_id,
  jsonb_path_query(v.config, '$.**.secret_id') as secret
  where b.workspace_id = $1
), numbered as (
  select n.secret_id, a.id, a.name, a.created_at,
    row_number() over (partition by n.secret_id order by a.created_at desc, a.id collate "C" desc) as place
  from named n
  join agent a on a.id = n.agent_id
  where n.secret_id = any($2::text[])
    and ($4::timestamptz is null or (a.created_at, a.id collate "C") < ($4, $5::text))
)
select secret_id, id, name, created_at from numbered where place <= $3 order by secret_id, place;

-- name: variables
-- Environment variables that have the secret $2 as a value.
select label from environment_variable
where workspace_id = $1 and type = 'secret'
  and jsonb_path_exists(by_environment, '$.* ? (@.secret_id == $id)', jsonb_build_object('id', $2::text))
order by label;

-- name: settings
-- Whether the settings of the workspace name the secret $2.
select true from workspace_settings
where workspace_id = $1
  and jsonb_path_exists(settings, '$.** ? (@.secret_id == $id)', jsonb_build_object('id', $2::text));

-- name: mcp_servers
-- MCP servers that name one of the secrets $2, the newest first.
select distinct secret #>> '{}' as secret_id, m.id, m.config ->> 'name' as name, m.created_at
from mcp_server m, jsonb_path_query(m.config, '$.**.secret_id') as secret
where m.workspace_id = $1 and secret #>> '{}' = any($2::text[])
order by m.created_at desc, m.id;
