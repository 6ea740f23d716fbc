-- What becomes of messages to people: the sender's marks, Meta's answers, and statuses.

-- name: heads
-- For the holder of a number's mailbox ($1, epoch $2): the number's token, and the first open message of each chat
-- but those in $5: $6 at most, longest due first. One row without a message when none is open, no row when the mailbox
-- was taken over.
select m.arrivals, a.token, a.is_token_expired, a.account_type, a.throughput_level,
  o.id, o.chat_id, o.conversation_id, o.kind, o.body, o.state, o.attempt, o.unknown_outcomes, o.attempted_at,
  o.created_at, o.due_at, c.wa_id, c.bsuid, c.group_id, c.last_user_message_at, c.pair_clock
from mailbox m
left join whatsapp_account a on a.workspace_id = $3 and a.phone_number_id = $4
left join lateral outbox_heads($3, $4, $5::text[], $6) o on true
left join whatsapp_chat c on c.id = o.chat_id
where m.id = $1 and m.epoch = $2
order by o.due_at, o.position;

-- name: orphaned
-- A send that its process did not survive becomes unknown: nobody knows whether Meta has it. While nobody listened
-- Meta waited ever longer to deliver its status: from the moment at which somebody did again ($5, or the attempt) it may
-- come as late again as the time since the attempt, at most an hour. It is waited for $4 more, from now ($3) at least.
update outbox o set state = 'unknown', unknown_outcomes = unknown_outcomes + 1,
  due_at = $4::interval + greatest($3::timestamptz, heard_from + least(heard_from - attempted_at, interval '1 hour'))
from (select id, greatest($5::timestamptz, attempted_at) as heard_from from outbox
  where workspace_id = $1 and phone_number_id = $2 and state = 'sending' for update) lost
where o.id = lost.id;

-- name: signs
-- scope: system, what Meta delivers for any number shows that its webhooks reach us
-- When Meta first delivered anything after $1, and whether it has delivered nothing since a message that was accepted
-- before $4. An operator's order is in the inbox too, and shows nothing. The inbox is walked by its key, as below.
-- Since when a server listens ($5: the first key of their locks), and whether a status of the message $6 waits to be
-- applied, or may, where very many do.
with overdue as (
  select max(accepted_at) as accepted_at from outbox
  where workspace_id = $2 and phone_number_id = $3 and state = 'accepted' and accepted_at < $4
), newest as (
  select max(received_at) as received_at from (
    select received_at from inbox where kind <> 'order' order by id desc limit 100) i
)
select (
    select received_at from inbox
    where id > coalesce((
        select id from inbox where received_at <= $1::timestamptz - interval '2 seconds' order by id desc limit 1), 0)
      and received_at > $1 and kind <> 'order'
    order by id limit 1
  ) as heard,
  accepted_at is not null and newest.received_at > accepted_at is not true as cut_off,
  (
    select min(objid::bigint) from pg_locks
    where locktype = 'advisory' and classid = $5::int::oid and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())
  ) as listening,
  (
    select count(*) = 1000 or coalesce(bool_or(payload ->> 'biz_opaque_callback_data' = $6), false)
    from (
      select payload from inbox where done_at is null and mailbox_id is null and kind = 'status' order by id limit 1000) w
  ) as told
from overdue, newest;

-- name: inbound
-- Messages a second that come in to a number: they share its throughput with those that leave. Counted since $3, a
-- second ago; while a burst begins its last quarter tells better what the second will have been.
-- The rows are found by the primary key, from the newest back: they lie in the order of their time, up to the two
-- seconds by which the clocks of servers may differ. That costs an insert nothing. The BRIN index of the time is no help
-- here: only vacuum adds new pages to it, and all others are read (314 ms in 500,000 rows without a vacuum, against
-- 0.2 ms by the key); with autosummarize it forgets pages in a burst of more than 32 MB between two rounds of vacuum. A
-- btree of the time would cost 14 us a row, a third of its insert and update. The limit is more than comes in in three
-- seconds; it keeps a planner that knows nothing of the table from reading all of it.
with recent as (
  select workspace_id, kind, mailbox_id, received_at from inbox
  where id > coalesce((
      select id from inbox where received_at <= $3::timestamptz - interval '2 seconds' order by id desc limit 1), 0)
  order by id desc limit 20000
)
select greatest(count(*), 4 * count(*) filter (where received_at > $3::timestamptz + interval '750 milliseconds'))
from recent
where workspace_id = $1 and received_at > $3 and kind = 'message' and starts_with(mailbox_id, $2 || ':');

-- name: mark
-- scope: system, the epoch of the sender's mailbox is the check
-- Written before the request leaves, so that a crash can't hide it. Arrays: $3 outbox ids, $4 pair clocks. $5: now.
with holder as (
  select id from mailbox where id = $1 and epoch = $2 for share
), marked as (
  update outbox o set state = 'sending', attempt = o.attempt + 1, attempted_at = $5
  from (select id from outbox where id = any($3::text[]) order by id for update) m, holder
  where o.id = m.id and o.state in ('queued', 'unknown')
  returning o.id, o.chat_id
), paced as (
  update whatsapp_chat c set pair_clock = p.pair_clock
  from unnest($3::text[], $4::timestamptz[]) as p(outbox_id, pair_clock) join marked on marked.id = p.outbox_id
  where c.id = marked.chat_id
)
select id from marked;

-- name: defer
-- A message that was not sent, or whose outcome is unknown, waits until $4. $5: how much that counts towards giving
-- it up.
update outbox set state = $3, due_at = $4, unknown_outcomes = unknown_outcomes + $5
where workspace_id = $1 and id = $2 and state in ('queued', 'sending');

-- name: wait_on
-- Messages of unknown outcome ($2) are not looked at before the moments $3.
update outbox o set due_at = w.until
from (
  select o.id, w.until from outbox o join unnest($2::text[], $3::timestamptz[]) as w(id, until) on w.id = o.id
  where o.workspace_id = $1 and o.state = 'unknown' order by o.id for update of o) w
where o.id = w.id;

-- name: by_wamid
-- scope: system, ids that Meta gave are looked up for facts of all workspaces
select id, wamid from outbox where wamid = any($1::text[]);

-- name: raise
-- scope: system, facts of many workspaces share a commit; events take the workspace_id of their conversation
-- States only move up. Arrays, one element a fact: $1 outbox id, $2 state, $3 when, $4 wamid, $5 error, $6 pricing.
-- $7: now. A fact that is new gets an event in the journal. $8: seconds until a message may be sent again that Meta
-- accepted and then dropped for a reason that passes, else null; it is sent again $9 times, ever later. What is told of
-- a dropped wamid later changes nothing, unless the message was seen on the device after all.
-- A chat is looked at in which the business waits for an answer to a message that failed. Its mailbox is locked before
-- its conversations and messages are, as by the commit of a turn and by whoever joins chats.
with fact as materialized (
  select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::jsonb[], $6::jsonb[], $8::float[])
    with ordinality as f(outbox_id, state, at, wamid, error, pricing, resend_seconds, place)
), looked_at as (
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select distinct o.chat_id, o.workspace_id, 'chat', $7::timestamptz
  from fact f join outbox o on o.id = f.outbox_id join conversation c on c.id = o.conversation_id
  where f.state = 'failed' and c.awaiting_first_user_message
  order by o.chat_id
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
), conversations as materialized (
  select c.id, c.last_seq, c.workspace_id from conversation c
  where c.id in (select o.conversation_id from outbox o join fact f on f.outbox_id = o.id)
    and (select count(*) from looked_at) >= 0
  order by c.id for no key update
), held as materialized (
  select o.* from outbox o
  where o.id in (select outbox_id from fact) and (select count(*) from looked_at) >= 0
  order by o.id for update
), dropped as materialized (
  select distinct on (h.id) h.id, h.workspace_id, h.phone_number_id, f.wamid,
    $7::timestamptz + make_interval(secs => f.resend_seconds * 4 ^ cardinality(h.dropped_wamids)) as due_at
  from fact f join held h on h.id = f.outbox_id
  where f.resend_seconds is not null and delivery_rank(h.state) < delivery_rank('failed') and h.state <> 'queued'
    and h.body <> '{}' and coalesce(h.wamid, f.wamid) = f.wamid
    and f.wamid <> all(h.dropped_wamids) and cardinality(h.dropped_wamids) < $9
    and not exists (
      select from fact g where g.outbox_id = f.outbox_id
        and (delivery_rank(g.state) > delivery_rank('failed') or g.wamid <> f.wamid))
), resent as (
  update outbox o set state = 'queued', due_at = d.due_at, wamid = null, accepted_at = null, sent_at = null,
    dropped_wamids = o.dropped_wamids || d.wamid
  from dropped d where o.id = d.id
), told as materialized (
  -- Of a message that was erased (its body is empty) only facts are taken down: Meta's ids hold numbers.
  select distinct on (f.outbox_id, f.state) f.outbox_id, f.state, f.at, f.pricing, f.place, h.conversation_id,
    case when h.body <> '{}' then f.wamid end as wamid,
    case when h.body <> '{}' or jsonb_typeof(f.error) <> 'object' then f.error else f.error - 'details' end as error
  from fact f join held h on h.id = f.outbox_id
  where case f.state
    when 'accepted' then h.accepted_at when 'sent' then h.sent_at when 'delivered' then h.delivered_at
    when 'read' then h.read_at when 'played' then h.played_at when 'failed' then h.failed_at end is null
    and not exists (select from dropped d where d.id = h.id)
    and (delivery_rank(f.state) > delivery_rank('failed') or coalesce(f.wamid <> all(h.dropped_wamids), true))
  order by f.outbox_id, f.state, f.at
), best as (
  select outbox_id,
    (array_agg(state order by delivery_rank(state) desc))[1] as state,
    max(wamid) as wamid,
    (array_agg(error) filter (where error is not null))[1] as error,
    (array_agg(pricing) filter (where pricing is not null))[1] as pricing,
    min(at) filter (where state = 'accepted') as accepted_at,
    min(at) filter (where state = 'sent') as sent_at,
    min(at) filter (where state = 'delivered') as delivered_at,
    min(at) filter (where state = 'read') as read_at,
    min(at) filter (where state = 'played') as played_at,
    min(at) filter (where state = 'failed') as failed_at
  from told group by outbox_id
), raised as (
  update outbox o set
    state = case when delivery_rank(b.state) > delivery_rank(o.state) then b.state else o.state end,
    wamid = coalesce(o.wamid, b.wamid),
    error = coalesce(b.error, o.error),
    pricing = coalesce(b.pricing, o.pricing),
    accepted_at = coalesce(o.accepted_at, b.accepted_at),
    sent_at = coalesce(o.sent_at, b.sent_at),
    delivered_at = coalesce(o.delivered_at, b.delivered_at),
    read_at = coalesce(o.read_at, b.read_at),
    played_at = coalesce(o.played_at, b.played_at),
    failed_at = coalesce(o.failed_at, b.failed_at)
  from best b where o.id = b.outbox_id
  returning o.id
), numbered as (
  select t.*, row_number() over (partition by t.conversation_id order by t.place) as nth from told t
  where t.conversation_id is not null
), counted as (
  update conversation c set last_seq = c.last_seq + n.events
  from (select conversation_id, count(*) as events from numbered group by conversation_id) n
  where c.id = n.conversation_id
), journaled as (
  insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
  select n.conversation_id, c.last_seq + n.nth, c.workspace_id, $7, 'delivery', jsonb_strip_nulls(jsonb_build_object(
    'outbox_id', n.outbox_id, 'state', n.state, 'wamid', n.wamid, 'error', n.error, 'pricing', n.pricing,
    'at', n.at))
  from numbered n join conversations c on c.id = n.conversation_id
), refused as (
  -- A message whose medium Meta does not take (131051 to 131053: its type, size, codec or content).
  select h.* from told t join held h on h.id = t.outbox_id join best b on b.outbox_id = h.id and b.state = 'failed'
  where t.state = 'failed' and t.error ->> 'code' in ('131051', '131052', '131053')
    and h.state not in ('delivered', 'read', 'played')
), replaced as (
  -- What was kept to be said in its place, once: its ids are those of the message that failed.
  insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, due_at, created_at)
  select f.id, r.workspace_id, r.phone_number_id, r.chat_id, r.conversation_id, f.kind, f.body, $7, $7
  from refused r cross join lateral rows from (jsonb_to_recordset(r.fallback) as (id text, kind text, body jsonb))
    with ordinality as f(id, kind, body, place)
  order by r.position, f.place
  on conflict (id) do nothing
  returning phone_number_id, workspace_id
), rung as (
  -- A message that had no certain outcome has one now: the next one of its chat may go. Or one is to be sent
  -- again, or in place of another.
  insert into mailbox as m(id, workspace_id, kind, due_at)
  select distinct on (phone_number_id) 'sender:' || phone_number_id, workspace_id, 'sender', due_at
  from (
    select h.phone_number_id, h.workspace_id, $7::timestamptz as due_at
    from held h join best b on b.outbox_id = h.id where h.state = 'unknown'
    union all
    select phone_number_id, workspace_id, due_at from dropped
    union all
    select phone_number_id, workspace_id, $7 from replaced
  ) w
  order by phone_number_id, due_at
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at)
  returning id
)
select array(select id from dropped) as resent,
  (select count(pg_notify('greenline_work', 'sender ' || id)) from rung),
  (select count(pg_notify('greenline_work', 'chat ' || id)) from looked_at);

-- name: claim_facts
-- scope: system, facts of all numbers are applied together
select id, workspace_id, kind, payload from inbox
where done_at is null and mailbox_id is null and kind = any($1::text[])
order by id limit $2
for update skip locked;

-- name: done
-- scope: system, the rows are locked by the caller
update inbox i set done_at = $2, error = d.error
from unnest($1::bigint[], $3::text[]) as d(id, error) where i.id = d.id;
