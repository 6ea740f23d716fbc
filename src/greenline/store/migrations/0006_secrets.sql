-- Workspace secrets: named values that agents refer to by id.

create table workspace_secret (
  id text primary key,
  workspace_id text not null references workspace(id),
  name text not null,
  value bytea not null,                -- encrypted
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index workspace_secret_list on workspace_secret(workspace_id, created_at desc, id desc);
