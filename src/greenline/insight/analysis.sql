-- Analysis of ended conversations. Each has a mailbox of kind `analysis`, named after it, until it is done.

-- name: journal
select c.agent_id, c.version_id, c.status,
  (select jsonb_agg(jsonb_build_object('kind', e.kind, 'data', e.data) order by e.seq) from conversation_event e
   where e.conversation_id = c.id and (
     e.kind in ('user_message', 'agent_message', 'agent_interrupted')
     or e.kind = 'tool_returned' and e.data ? 'said')) as journal
from conversation c
where c.workspace_id = $1 and c.id = $2;

-- name: finish
-- The result and the end of the work in one transaction, if the mailbox is still held. $4: data of `summarised`.
with held as (
  delete from mailbox where id = $3 and epoch = $5 returning id
), done as (
  update conversation c set status = 'done', title = $4::jsonb ->> 'title', summary = $4::jsonb ->> 'summary',
    last_seq = c.last_seq + case when $4::jsonb is null then 0 else 1 end
  from held where c.workspace_id = $1 and c.id = $2 and c.status = 'processing'
  returning c.id, c.workspace_id, c.last_seq
), journaled as (
  insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
  select id, last_seq, workspace_id, $6, 'summarised', $4::jsonb from done where $4::jsonb is not null
)
select id from held;
