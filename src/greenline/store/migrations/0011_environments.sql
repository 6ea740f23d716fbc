-- Environments of a workspace, and variables that have a value in each of them.

create table workspace_environment (
  workspace_id text not null references workspace(id),
  name text not null,                  -- besides 'production', which is always there
  created_by text,
  updated_at timestamptz not null,     -- made, or one of its values changed
  primary key (workspace_id, name)
);

create table environment_variable (
  id text primary key,
  workspace_id text not null references workspace(id),
  label text not null,
  type text not null,                  -- string, secret, auth_connection
  by_environment jsonb not null,       -- its values: texts, or {secret_id}
  created_by text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (workspace_id, label)
);
create index environment_variable_list on environment_variable(workspace_id, created_at desc, id desc);
