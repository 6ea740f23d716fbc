-- name: environments
select name, created_by, updated_at from workspace_environment where workspace_id = $1 order by name collate "C";

-- name: production_changed
select max(updated_at) from environment_variable where workspace_id = $1;

-- name: exists
select exists (select from workspace_environment where workspace_id = $1 and name = $2);

-- name: create
insert into workspace_environment (workspace_id, name, created_by, updated_at) values ($1, $2, $1, $3)
on conflict (workspace_id, name) do nothing
returning name;

-- name: touch
-- The environments $2 have values that changed; those that are new begin to exist.
insert into workspace_environment (workspace_id, name, created_by, updated_at)
select $1, name, $1, $3 from unnest($2::text[]) as name order by name
on conflict (workspace_id, name) do update set updated_at = excluded.updated_at;

-- name: delete
delete from workspace_environment where workspace_id = $1 and name = $2 returning name;

-- name: forget_values
update environment_variable set by_environment = by_environment - $2, updated_at = $3
where workspace_id = $1 and by_environment ? $2;

-- name: insert_variable
insert into environment_variable (id, workspace_id, label, type, by_environment, created_by, created_at, updated_at)
values ($1, $2, $3, $4, $5, $2, $6, $6)
on conflict (workspace_id, label) do nothing
returning id, label, type, by_environment as values, created_by, created_at, updated_at;

-- name: variable
select id, label, type, by_environment as values, created_by, created_at, updated_at from environment_variable
where workspace_id = $1 and id = $2;

-- name: lock_variable
select id, label, type, by_environment as values, created_by, created_at, updated_at from environment_variable
where workspace_id = $1 and id = $2
for update;

-- name: update_variable
update environment_variable set by_environment = $3, updated_at = $4 where workspace_id = $1 and id = $2
returning id, label, type, by_environment as values, created_by, created_at, updated_at;

-- name: mcp_servers
-- MCP servers that name the variable $2 by its label, or have it in a text.
select m.config ->> 'name' as name
from environment_variable v
join mcp_server m on m.workspace_id = v.workspace_id
where v.workspace_id = $1 and v.id = $2
  and (
    jsonb_path_exists(m.config, '$.** ? (@.env_var_label == $label)', jsonb_build_object('label', v.label))
    or m.config::text ~ ('\{\{\s*system__env_' || v.label || '\s*\}\}')
  )
order by m.created_at;

-- name: settings
-- Whether the settings of the workspace name the variable $2 by its label, or have it in a text.
select true
from environment_variable v
join workspace_settings s on s.workspace_id = v.workspace_id
where v.workspace_id = $1 and v.id = $2
  and (
    jsonb_path_exists(s.settings, '$.** ? (@.env_var_label == $label)', jsonb_build_object('label', v.label))
    or s.settings::text ~ ('\{\{\s*system__env_' || v.label || '\s*\}\}')
  );

-- name: delete_variable
delete from environment_variable where workspace_id = $1 and id = $2 returning id;

-- name: page
-- The newest first, after the row ($5, $6). $2 is the whole label, $4 the type; with $3 only variables that have a value
-- there, and of it only that one.
select id, label, type,
  case when $3::text is null then by_environment else jsonb_build_object($3, by_environment -> $3) end as values,
  created_by, created_at, updated_at
from environment_variable
where workspace_id = $1
  and ($2::text is null or label = $2)
  and ($3 is null or by_environment ? $3)
  and ($4::text is null or type = $4)
  and ($5::timestamptz is null or (created_at, id collate "C") < ($5, $6::text))
order by created_at desc, id collate "C" desc
limit $7;

-- name: resolve
-- What the labels $2 stand for in the environment $3; where they have no value there, the one of production.
select label, type, coalesce(by_environment -> $3, by_environment -> 'production') as value from environment_variable
where workspace_id = $1 and label = any($2::text[]);
