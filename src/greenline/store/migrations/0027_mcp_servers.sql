-- MCP servers: where an agent's tools come from that another service describes.

create table mcp_server (
  id text primary key,
  workspace_id text not null references workspace(id),
  config jsonb not null,
  -- What was approved, by the tool's name: {"description", "input_schema"}. Shown beside a tool that has changed since.
  approved jsonb not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index mcp_server_list on mcp_server(workspace_id, created_at desc, id desc);
