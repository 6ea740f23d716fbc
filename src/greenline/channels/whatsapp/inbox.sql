-- The inbox: every webhook event is kept once, and rings the mailbox of its chat.

-- name: ingest
-- scope: system, the number of an event tells its workspace (account.workspace_id)
-- Arrays, one element an event: $1 dedupe, $2 kind, $3 phone number id, $4 wa_id, $5 bsuid, $6 group id, $7 payload,
-- $8 whether the event has a place in its chat's order, $10 id of the call. $9: now.
-- $11: what makes the id of a new chat of the person's, which must not be read back from it; whoever meets somebody
-- first gives them the same chat, another one in each workspace that the number moves to. An event that was erased
-- does not come back.
-- What a call brings rings the mailbox of the call; an answer to a call permission request that of the call it is for.
-- A chat that nobody works on is claimed at once for $12 (lease: $13 seconds), $14 chats at most: the answer is what
-- `claim` gives, and holds $15 items of each. Others are told of by a notification.
with event as materialized (
  select e.*, a.workspace_id, coalesce(e.group_id, e.wa_id, e.bsuid) as identifier
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
      $10::text[])
    with ordinality as e(dedupe, kind, phone_number_id, wa_id, bsuid, group_id, payload, ordered, call_id, place)
  left join whatsapp_account a on a.phone_number_id = e.phone_number_id
  where not exists (select from erased_event x where x.digest = event_digest(e.dedupe))
), known as materialized (
  -- A number leads to the chat of a person with another business-scoped id: it was given to somebody else, who must not
  -- get what was said there. They are known by their own id, and the number is theirs from now on.
  select e.dedupe, e.kind, e.phone_number_id, e.wa_id, e.bsuid, e.group_id, e.payload, e.ordered, e.call_id, e.place,
    e.workspace_id, case when n.is_others then e.bsuid else e.identifier end as identifier,
    coalesce(b.chat_id, case when not n.is_others then n.chat_id end) as chat_id,
    case when n.is_others then n.chat_id end as former_chat_id
  from event e
  left join lateral (
    select i.chat_id from chat_identity i
    where e.ordered and e.workspace_id is not null
      and i.phone_number_id = e.phone_number_id and i.identifier = e.bsuid
  ) b on true
  left join lateral (
    select i.chat_id, e.kind in ('message', 'standby') and e.bsuid is not null and exists (
      select from whatsapp_chat c where c.id = i.chat_id and c.bsuid <> e.bsuid) as is_others
    from chat_identity i
    where b.chat_id is null and e.ordered and e.workspace_id is not null
      and i.phone_number_id = e.phone_number_id and i.identifier = e.identifier
  ) n on true
), met as (
  -- A person seen for the first time. The row that wins a race tells its chat to the others.
  insert into chat_identity as i(phone_number_id, identifier, chat_id)
  select distinct on (phone_number_id, identifier)
    phone_number_id, identifier, phone_number_id || ':' || left(encode(sha256(convert_to(
      concat_ws(':', $11::text, workspace_id, phone_number_id, coalesce(group_id, bsuid, wa_id)), 'UTF8')), 'hex'), 32)
  from known
  where chat_id is null and ordered and workspace_id is not null and identifier is not null
  order by phone_number_id, identifier, bsuid nulls last
  on conflict (phone_number_id, identifier) do update set chat_id = i.chat_id
  returning i.phone_number_id, i.identifier, i.chat_id
), placed as materialized (
  select k.dedupe, k.kind, k.phone_number_id, k.wa_id, k.bsuid, k.group_id, k.payload, k.workspace_id, k.place,
    k.former_chat_id, coalesce(k.chat_id, m.chat_id) as chat_id, m.chat_id is not null as is_new,
    case k.kind
      when 'call' then coalesce(
        (select c.mailbox_id from whatsapp_call c where c.wacid = k.call_id and c.workspace_id = k.workspace_id),
        'call:' || k.call_id)
      when 'call_permission' then (
        select c.mailbox_id
        from whatsapp_call c
        join chat_identity i on i.phone_number_id = c.phone_number_id and i.chat_id = c.chat_id
        where c.workspace_id = k.workspace_id and c.phone_number_id = k.phone_number_id
          and i.identifier in (k.wa_id, k.bsuid) and c.phase in ('checking', 'asking', 'waiting')
        limit 1)
      else coalesce(k.chat_id, m.chat_id)
    end as mailbox_id
  from known k
  left join met m on m.phone_number_id = k.phone_number_id and m.identifier = k.identifier and k.chat_id is null
    and k.ordered
), linked as (
  insert into chat_identity(phone_number_id, identifier, chat_id)
  select distinct on (phone_number_id, bsuid) phone_number_id, bsuid, chat_id
  from placed p
  where chat_id is not null and bsuid is not null and not exists (
    select 1 from chat_identity i where i.phone_number_id = p.phone_number_id and i.identifier = p.bsuid)
  order by phone_number_id, bsuid
  on conflict (phone_number_id, identifier) do nothing
), moved as (
  update chat_identity i set chat_id = p.chat_id
  from (
    select distinct on (phone_number_id, wa_id) phone_number_id, wa_id, chat_id from placed
    where former_chat_id is not null
    order by phone_number_id, wa_id, place desc
  ) p
  where i.phone_number_id = p.phone_number_id and i.identifier = p.wa_id
), parted as (
  update whatsapp_chat c set wa_id = null
  where (c.id, c.wa_id) in (select former_chat_id, wa_id from placed where former_chat_id is not null)
), opened as (
  insert into whatsapp_chat as c(id, workspace_id, phone_number_id, wa_id, bsuid, group_id, created_at)
  select chat_id, workspace_id, phone_number_id, max(wa_id), max(bsuid), max(group_id), $9::timestamptz
  from placed where is_new
  group by chat_id, workspace_id, phone_number_id
  order by chat_id
  on conflict (id) do update set  -- somebody who was forgotten is back
    wa_id = coalesce(c.wa_id, excluded.wa_id), bsuid = coalesce(c.bsuid, excluded.bsuid),
    group_id = coalesce(c.group_id, excluded.group_id)
    where c.workspace_id = excluded.workspace_id
  returning c.id
), fresh as (
  insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at, done_at, error)
  select workspace_id, dedupe, case when workspace_id is not null then mailbox_id end, kind, payload::json, $9,
    case when workspace_id is null and phone_number_id is not null then $9::timestamptz end,
    case when workspace_id is null and phone_number_id is not null then 'no account for this number' end
  from placed
  where (select count(*) from opened) >= 0  -- a chat is there before it is read by whoever claims it
  order by place
  on conflict (dedupe) do nothing
  returning mailbox_id, workspace_id, kind, done_at
), work as (
  select distinct on (mailbox_id) mailbox_id, workspace_id,
    case when kind in ('call', 'call_permission') then 'call' else 'chat' end as kind
  from fresh where mailbox_id is not null
  order by mailbox_id
), rung as (
  insert into mailbox as m(id, workspace_id, kind, due_at, owner, lease_until, epoch, attempt)
  select mailbox_id, workspace_id, kind, $9::timestamptz, case when taken then $12 end,
    case when taken then statement_timestamp() + make_interval(secs => $13) end, taken::int, taken::int
  from (
    select w.*, kind = 'chat' and row_number() over (partition by kind order by mailbox_id) <= $14 as taken from work w
  ) w
  order by mailbox_id
  on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at),
    (owner, lease_until, epoch, attempt) = (
      select case when free then excluded.owner else m.owner end,
        case when free then excluded.lease_until else m.lease_until end,
        m.epoch + free::int, m.attempt + free::int
      from (select excluded.owner is not null
        and (m.lease_until is null or m.lease_until < statement_timestamp()) as free) f)
  returning m.id, m.workspace_id, m.kind, m.epoch, m.arrivals, m.attempt, m.lease_until is not null as is_held,
    m.owner = $12 and m.lease_until = statement_timestamp() + make_interval(secs => $13) as is_ours
), told as (
  select case when bool_or(kind = 'chat' and not is_held) then pg_notify('greenline_work', 'chat') end,
    count(pg_notify('greenline_work', 'call ' || id)::text) filter (where kind = 'call'),
    (select case when bool_or(mailbox_id is null and done_at is null) then pg_notify('greenline_work', 'facts') end
      from fresh)
  from rung
)
select r.id, r.workspace_id, r.epoch, r.arrivals, r.attempt, c.items, c.steps,
  case when r.is_ours then mailbox_context('chat', r.workspace_id, r.id) end as context
from told left join rung r on r.is_ours left join lateral mailbox_contents(r.id, $15) c on r.is_ours;

-- name: set_aside
-- scope: system, what can't be read belongs to nobody yet
insert into quarantine(received_at, reason, body) values ($1, $2, $3);


-- name: forget_old
-- scope: system, retention of the whole inbox
with old as (
  delete from inbox where done_at < $1 returning 1
), unreadable as (
  delete from quarantine where received_at < $1
), erased as (
  delete from erased_event where erased_at < $1
)
select count(*) from old;
