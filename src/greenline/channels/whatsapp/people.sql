-- The ids of a person, and chats that turn out to be with the same one.

-- name: known_chat
-- scope: system, identities hang on a number, which the caller's workspace_id owns
-- The chat of a person under one of their ids, the first of $2 that is known.
select chat_id from chat_identity
where phone_number_id = $1 and identifier = any($2::text[])
order by array_position($2, identifier)
limit 1;

-- name: part
-- The numbers $3 were given to the person with the business-scoped id $4: they lead no more to the chats of people with
-- other ids, who had them before.
with others as (
  select c.id from whatsapp_chat c
  where c.workspace_id = $1 and c.phone_number_id = $2 and c.bsuid <> $4 and exists (
    select from chat_identity i where i.phone_number_id = $2 and i.identifier = any($3::text[]) and i.chat_id = c.id)
), parted as (
  update whatsapp_chat c set wa_id = null from others o
  where c.workspace_id = $1 and c.id = o.id and c.wa_id = any($3::text[])
)
delete from chat_identity i using others o
where i.phone_number_id = $2 and i.identifier = any($3::text[]) and i.chat_id = o.id;

-- name: meet
-- scope: system, identities hang on a number, which the caller's workspace_id owns
-- Every id leads to the chat $3 from now on, unless it led to another before.
insert into chat_identity as i(phone_number_id, identifier, chat_id)
select $1, identifier, $3 from unnest($2::text[]) as identifier order by identifier
on conflict (phone_number_id, identifier) do update set chat_id = i.chat_id
returning i.identifier, i.chat_id;

-- name: open_chat
insert into whatsapp_chat as c(id, workspace_id, phone_number_id, wa_id, bsuid, created_at)
values ($2, $1, $3, $4, $5, $6)
on conflict (id) do update set wa_id = coalesce(c.wa_id, excluded.wa_id), bsuid = coalesce(c.bsuid, excluded.bsuid)
  where c.workspace_id = excluded.workspace_id
returning marketing_stopped;

-- name: chats_of
-- scope: system, identities hang on a number, which the caller's workspace_id owns
-- The chats that the ids $2 lead to, in the order of the ids.
select i.chat_id, c.bsuid, c.created_at from chat_identity i join whatsapp_chat c on c.id = i.chat_id
where i.phone_number_id = $1 and i.identifier = any($2::text[])
order by array_position($2, i.identifier);

-- name: take_turns
-- scope: system, the number is of the caller's workspace_id
-- Of two who learn of people of a number, the second one sees what the first one has done.
select pg_advisory_xact_lock(hashtextextended('people of ' || $1, 0));

-- name: hold
-- Nobody answers in the chats or brings anything into them while this transaction lasts.
select id from mailbox where workspace_id = $1 and id = any($2::text[]) order by id for update;

-- name: may_join
-- Not while a turn in the chat $2 has touched the world: it must end there. Nor if $3 is in another chat by now.
select not exists (select from turn_step where workspace_id = $1 and mailbox_id = $2 and has_effect)
  and exists (select from whatsapp_chat where workspace_id = $1 and id = $3 and joined_to is null);

-- name: join
-- What is in the chat $2 is in the chat $3 from now on, and whoever comes to $2 is sent on. What is known of the person
-- is kept: the longer window, the later clock of the pair, the later word on marketing.
with moved as (
  update conversation set chat_id = $3 where workspace_id = $1 and chat_id = $2 returning id
), sent as (
  update outbox o set chat_id = $3 where o.workspace_id = $1 and o.id in (
    select q.id from outbox q where q.conversation_id in (select id from moved)
    union select q.id from outbox q join whatsapp_chat c on c.id = $2 and c.phone_number_id = q.phone_number_id
    where q.chat_id = c.id and q.state in ('queued', 'sending', 'unknown'))
), called as (
  update whatsapp_call set chat_id = $3 where workspace_id = $1 and chat_id = $2
), named as (
  update chat_identity set chat_id = $3 where chat_id = $2
), forgotten as (
  delete from turn_step where workspace_id = $1 and mailbox_id = $2
), given_up as (
  update whatsapp_chat set joined_to = $3, to_be_forgotten = true where workspace_id = $1 and id = $2 returning *
)
update whatsapp_chat c set
  wa_id = coalesce(c.wa_id, g.wa_id), bsuid = coalesce(c.bsuid, g.bsuid),
  profile_name = coalesce(c.profile_name, g.profile_name), username = coalesce(c.username, g.username),
  last_user_message_at = greatest(c.last_user_message_at, g.last_user_message_at),
  last_inbound_wamid = coalesce(c.last_inbound_wamid, g.last_inbound_wamid),
  pair_clock = greatest(c.pair_clock, g.pair_clock),
  marketing_stopped = case
    when c.marketing_changed_at > coalesce(g.marketing_changed_at, '-infinity') then c.marketing_stopped
    when g.marketing_changed_at > coalesce(c.marketing_changed_at, '-infinity') then g.marketing_stopped
    else c.marketing_stopped or g.marketing_stopped end,
  marketing_changed_at = greatest(c.marketing_changed_at, g.marketing_changed_at)
from given_up g where c.workspace_id = $1 and c.id = $3;

-- name: interrupt
-- A turn that runs in the chat $2 changes nothing any more: what it answers is answered where it was sent on to.
update mailbox set owner = null, lease_until = null, attempt = 0, epoch = epoch + 1, arrivals = arrivals + 1,
  due_at = $3::timestamptz
where workspace_id = $1 and id = $2
returning pg_notify('greenline_work', 'chat');

-- name: send_on
-- What waits in the chat $2, which the caller holds (epoch $3), waits in $4. $5: now. Whoever rang here, perhaps for
-- something else than a message and before the chats were joined, meant $4.
with held as (
  select id from mailbox where workspace_id = $1 and id = $2 and epoch = $3 for update
), moved as (
  update inbox i set mailbox_id = $4 from held where i.mailbox_id = held.id and i.done_at is null
), rung as (
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select $4, $1, 'chat', $5::timestamptz from held
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
)
select pg_notify('greenline_work', 'chat ' || id) from rung;

-- name: name
-- scope: system, identities hang on a number, which the caller's workspace_id owns
-- The ids $2 lead to the chat $3; those in $4 do where they have led nowhere.
insert into chat_identity(phone_number_id, identifier, chat_id)
select $1, i.identifier, $3
from (select unnest($2::text[]) as identifier, true as sure union all select unnest($4::text[]), false) i
where i.sure or not exists (
  select from chat_identity k where k.phone_number_id = $1 and k.identifier = i.identifier)
order by i.identifier
on conflict (phone_number_id, identifier) do update set chat_id = excluded.chat_id;

-- name: know
update whatsapp_chat set wa_id = coalesce($3, wa_id), bsuid = coalesce($4, bsuid) where workspace_id = $1 and id = $2;
