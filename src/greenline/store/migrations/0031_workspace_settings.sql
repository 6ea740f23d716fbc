-- What a workspace has set for all of its agents, as the API gives it: among it the webhook for start data.

create table workspace_settings (
  workspace_id text primary key references workspace(id),
  settings jsonb not null
);
