-- name: keep
insert into agent_past_privacy (workspace_id, agent_id, until, privacy) values ($1, $2, $3, $4)
on conflict (agent_id, until) do nothing;

-- name: keep_for_ever
insert into agent_past_privacy (workspace_id, agent_id, until, privacy)
select workspace_id, id, 'infinity', shared -> 'privacy' from agent
where workspace_id = $1 and id = $2 and shared ? 'privacy'
on conflict (agent_id, until) do nothing;

-- name: end_last
update agent_past_privacy set until = $3 where workspace_id = $1 and agent_id = $2 and until = 'infinity';

-- name: forget
delete from agent_past_privacy where workspace_id = $1 and agent_id = $2;
