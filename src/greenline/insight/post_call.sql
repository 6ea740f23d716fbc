-- Whom to tell of conversations that are over.

-- name: keep
-- Once, also where the statement is repeated since nobody knows how it ended.
insert into post_call_webhook(conversation_id, kind, workspace_id, url, secret, created_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (conversation_id, kind) do nothing;

-- name: claim
-- scope: system, one loop tells for all workspaces
-- $1: now. $2: for conversations that ended before, no recording is waited for. $3: at most so many, the first tries
-- first, and of those what was postponed last: it may meet the same fault. $4: not before then again, if this process
-- dies on it.
update post_call_webhook w set due_at = $4, attempts = w.attempts + 1
from (
  select p.conversation_id, p.kind, c.ended_at
  from post_call_webhook p
  join conversation c on c.id = p.conversation_id and c.workspace_id = p.workspace_id
  where c.status in ('done', 'failed') and coalesce(p.due_at, $1) <= $1
    and (c.text_only or c.accepted_at is null or c.ended_at <= $2
      or conversation_privacy(c.agent_id, c.started_at) ->> 'record_voice' is distinct from 'true'
      or exists (select from conversation_recording r where r.conversation_id = c.id))
  order by p.attempts, p.due_at nulls first, c.ended_at limit $3
  for update of p skip locked
) due
where w.conversation_id = due.conversation_id and w.kind = due.kind
returning w.conversation_id, w.kind, w.workspace_id, w.url, w.secret, w.attempts, due.ended_at;

-- name: postpone
-- $5: whether what was done counts as an attempt.
update post_call_webhook set due_at = $4, attempts = attempts - case when $5 then 0 else 1 end
where workspace_id = $1 and conversation_id = $2 and kind = $3;

-- name: forget
delete from post_call_webhook where workspace_id = $1 and conversation_id = $2 and kind = $3;

-- name: forget_unheld
-- scope: system, as claim
-- Of conversations that never began, or were deleted. $1: those that were written down before.
delete from post_call_webhook w
where w.created_at <= $1 and not exists (select from conversation c where c.id = w.conversation_id);
