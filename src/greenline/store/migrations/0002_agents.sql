-- Agents: what is shared by all branches, the branches, and the immutable versions on them.

create table agent (
  id text primary key,
  workspace_id text not null references workspace(id),
  name text not null,
  tags text[] not null default '{}',
  archived boolean not null default false,
  shared jsonb not null default '{}',  -- settings that are not versioned: auth, call_limits, privacy
  main_branch_id text not null,
  created_by text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index agent_list on agent(workspace_id, created_at desc, id);

create table agent_branch (
  id text primary key,
  workspace_id text not null references workspace(id),
  agent_id text not null references agent(id) on delete cascade,
  name text not null,
  description text not null default '',
  tip_version_id text not null,
  parent_version_id text,              -- where the branch began; null for Main
  traffic_percentage real not null default 0,
  is_archived boolean not null default false,
  created_at timestamptz not null,
  last_committed_at timestamptz not null,
  unique (agent_id, name)
);

create table agent_version (
  id text primary key,
  workspace_id text not null references workspace(id),
  agent_id text not null references agent(id) on delete cascade,
  branch_id text not null references agent_branch(id) on delete cascade,
  number int not null,                 -- place on its branch, from 1
  config jsonb not null,               -- conversation_config, platform_settings, workflow: whole, with defaults
  description text not null default '',
  parent_version_id text,
  created_by text,
  created_at timestamptz not null,
  unique (branch_id, number)
);
create index agent_version_agent on agent_version(agent_id);
