-- The mailboxes of live conversations that are over were kept for ever. Those that end from now on are removed by the
-- worker of their kind.

delete from mailbox m using conversation c
where m.kind = 'live' and m.owner is null and m.due_at is null
  and c.id = substr(m.id, length('live:') + 1) and c.workspace_id = m.workspace_id
  and c.ended_at < now() - interval '1 hour'
  and not exists (select from inbox i where i.mailbox_id = m.id and i.done_at is null);

-- What came in from a person is found without reading all that came in: when their last conversation is erased.

drop index inbox_call;
create index inbox_past on inbox(mailbox_id) where done_at is not null and mailbox_id is not null;
