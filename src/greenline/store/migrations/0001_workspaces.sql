-- Workspaces and their API keys.

create table workspace (
  id text primary key,
  name text not null,
  created_at timestamptz not null
);

create table api_key (
  id text primary key,
  workspace_id text not null references workspace(id),
  name text not null,
  hash bytea not null unique,  -- SHA-256 of a key of 256 random bits: a salt would add nothing
  hint text not null,          -- last four characters, for people who look at a list
  created_at timestamptz not null,
  revoked_at timestamptz
);
create index api_key_workspace on api_key(workspace_id, created_at);
