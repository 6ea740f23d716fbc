-- name: holder
-- Where the orders of a conversation go: its chat while it is one by text, its call until somebody holds it after the
-- person has picked up, else who holds it. To an order that came in between it would seem abandoned.
select c.status, case when c.text_only then c.chat_id end as chat_id, v.mailbox_id as call_mailbox_id
from conversation c
left join whatsapp_call v on v.conversation_id = c.id and v.workspace_id = c.workspace_id
  and v.ended_at is null and not exists (select from mailbox m where m.id = 'live:' || c.id and m.workspace_id = $1)
where c.workspace_id = $1 and c.id = $2
limit 1;

-- name: place
-- An order for the holder of a conversation. $1: workspace, $2: mailbox, $3: its kind, $4: unique key, $5: payload,
-- $6: now.
with placed as (
  insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at)
  values ($1, $4, $2, 'order', $5, $6)
), rung as (
  insert into mailbox as m(id, workspace_id, kind, due_at) values ($2, $1, $3, $6)
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning m.kind, m.id
)
select pg_notify('greenline_work', kind || ' ' || id) from rung;
