-- The first open messages of a number's chats but those in `without`, longest due first.
--
-- Both orders are those of an index, and no other way is allowed: a plan that was made while the outbox was small would
-- read all of it for each chat when very many messages wait.
create index outbox_due on outbox(phone_number_id, due_at, position) where state in ('queued', 'sending', 'unknown');

create function outbox_heads(workspace text, number text, without text[], most bigint) returns setof outbox
language plpgsql stable rows 10  -- few, so that what is joined to them is looked up
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
begin
  return query
  select o.* from outbox o
  cross join lateral (
    select p.id from outbox p
    where p.phone_number_id = o.phone_number_id and p.chat_id = o.chat_id and p.state in ('queued', 'sending', 'unknown')
    order by p.position limit 1) f
  where o.workspace_id = workspace and o.phone_number_id = number and o.state in ('queued', 'sending', 'unknown')
    and o.chat_id <> all(without) and o.id = f.id
  order by o.due_at, o.position
  limit most;
end
$$;
