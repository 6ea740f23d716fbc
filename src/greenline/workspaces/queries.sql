-- name: insert_workspace
-- scope: system, a workspace is made from outside of all of them
insert into workspace (id, name, created_at) values ($1, $2, $3) on conflict (id) do nothing;

-- name: workspaces
-- scope: system, for the operator of the server
select id, name, created_at from workspace order by created_at, id;

-- name: workspace
-- scope: system, for the operator of the server
select id, name, created_at from workspace where id = $1;

-- name: lock_workspace
-- scope: system, starters that give the default workspace its first key queue up here
select id from workspace where id = $1 for update;

-- name: authenticate
-- scope: system, the key tells the workspace
select workspace.id, workspace.name, workspace.created_at
from api_key join workspace on workspace.id = api_key.workspace_id
where api_key.hash = $1 and api_key.revoked_at is null;

-- name: key_of_hash
-- scope: system, the bootstrap key may already be a key of any workspace
select id, workspace_id, revoked_at from api_key where hash = $1;

-- name: insert_key
insert into api_key (id, workspace_id, name, hash, hint, created_at) values ($1, $2, $3, $4, $5, $6);

-- name: put_bootstrap_key
insert into api_key (id, workspace_id, name, hash, hint, created_at) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update
set hash = excluded.hash, hint = excluded.hint, created_at = excluded.created_at, revoked_at = null;

-- name: keys
select id, workspace_id, name, hint, created_at, revoked_at from api_key where workspace_id = $1
order by created_at, id;

-- name: revoke_keys
update api_key set revoked_at = $2 where workspace_id = $1 and revoked_at is null
returning id, workspace_id, name, hint, created_at, revoked_at;

-- name: revoke_key
update api_key set revoked_at = coalesce(revoked_at, $3) where workspace_id = $1 and id = $2
returning id, workspace_id, name, hint, created_at, revoked_at;
