-- Chats whose agent was deleted in a conversation had nobody left to answer, nor to end it: they are looked at again.
insert into mailbox as m(id, workspace_id, kind, due_at)
select distinct v.chat_id, v.workspace_id, 'chat', now() from conversation v
where v.text_only and v.chat_id is not null and v.status in ('initiated', 'in-progress')
  and not exists (select from agent_version n where n.id = v.version_id)
order by v.chat_id
on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at);

-- Two chats turned out to be with the same person: all that was in this one is in another.
alter table whatsapp_chat add column joined_to text;
