-- Settings of a workspace for all of its agents (reference: /v1/convai/settings).

-- name: read
select settings from workspace_settings where workspace_id = $1;

-- name: hold
-- Nobody else changes them before the transaction ends.
insert into workspace_settings (workspace_id, settings) values ($1, '{}')
on conflict (workspace_id) do update set settings = workspace_settings.settings
returning settings;

-- name: write
update workspace_settings set settings = $2 where workspace_id = $1;
