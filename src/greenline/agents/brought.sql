-- Agents that clients bring.

-- name: bring
update agent set brought_at = $3 where workspace_id = $1 and id = $2;

-- name: unused
-- scope: system, the keeper serves all workspaces; every row tells its workspace_id
-- Those that were brought last before $1, of whose conversations no transcript is left, and which nobody has made their
-- own since. $2: at most so many.
select a.workspace_id, a.id from agent a
where a.brought_at <= $1 and a.archived
  and not exists (
    select from conversation c
    where c.workspace_id = a.workspace_id and c.agent_id = a.id and c.transcript_deleted_at is null)
  and not exists (select from whatsapp_account w where w.workspace_id = a.workspace_id and w.assigned_agent_id = a.id)
order by a.brought_at limit $2;
