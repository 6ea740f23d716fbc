-- name: insert
insert into mcp_server (id, workspace_id, config, approved, created_at, updated_at) values ($1, $2, $3, '{}', $4, $4);

-- name: one
select * from mcp_server where workspace_id = $1 and id = $2;

-- name: lock
-- Of two changes at once the second one sees the first.
select * from mcp_server where workspace_id = $1 and id = $2 for update;

-- name: all
select * from mcp_server where workspace_id = $1 order by created_at desc, id collate "C" desc;

-- name: some
select * from mcp_server where workspace_id = $1 and id = any($2::text[]);

-- name: update
update mcp_server set config = $3, approved = $4, updated_at = $5 where workspace_id = $1 and id = $2;

-- name: delete
delete from mcp_server where workspace_id = $1 and id = $2;

-- name: agents
-- Agents of which the newest version of a branch names one of the servers $2, the newest agents first.
with named as (
  select distinct server #>> '{}' as server_id, b.agent_id
  from agent_branch b
  join agent_version v on v.id = b.tip_version_id,
  jsonb_path_query(v.config, '$.**.mcp_server_ids[*]') as server
  where b.workspace_id = $1
)
select n.server_id, a.id, a.name, a.created_at
from named n
join agent a on a.id = n.agent_id and a.workspace_id = $1
where n.server_id = any($2::text[])
order by a.created_at desc, a.id collate "C" desc;
