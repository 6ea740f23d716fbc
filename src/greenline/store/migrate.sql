-- name: lock
-- One starter at a time applies migrations; the others wait and then find them applied.
-- scope: system, the schema belongs to all workspaces
select pg_advisory_lock($1);

-- name: create_table
-- scope: system, the schema belongs to all workspaces
create table if not exists schema_migration (
  name text primary key,
  digest text not null,
  applied_at timestamptz not null default now()
);

-- name: applied
-- scope: system, the schema belongs to all workspaces
select name, digest from schema_migration;

-- name: limit_lock_wait
-- A migration that waits for a table must not make all later queries wait behind it.
-- scope: system, the schema belongs to all workspaces
set local lock_timeout = '5s';

-- name: remember
-- scope: system, the schema belongs to all workspaces
insert into schema_migration (name, digest) values ($1, $2);

-- name: newest
-- scope: system, the schema belongs to all workspaces
select max(name) from schema_migration;
