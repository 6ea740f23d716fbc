-- Ended conversations on their way to the operator's collector of traces.

-- name: claim
-- scope: system, one collector takes the traces of all workspaces
-- $1: now. $2: conversations that ended before are too old. $3: at most so many. $4: not before then again.
update conversation c set trace_due_at = $4
from (
  select id from conversation
  where ended_at > $2 and trace_due_at is distinct from 'infinity' and status in ('done', 'failed')
    and coalesce(trace_due_at, $1) <= $1
  order by ended_at limit $3
  for update skip locked
) due
where c.id = due.id
returning c.id, c.workspace_id;

-- name: settle
-- $3: when it is tried again; null: never.
update conversation set trace_due_at = coalesce($3::timestamptz, 'infinity') where workspace_id = $1 and id = $2;

-- name: give_up
-- scope: system, as claim
-- Those that were tried, in vain, until they were too old.
update conversation set trace_due_at = 'infinity'
where ended_at <= $1 and trace_due_at < 'infinity'
returning id;
