-- Mailboxes: one row per key is the queue, the lease and the fence of its ordered work. The epoch grows with every
-- claim and every return, so that neither an old holder nor a repeated commit can change anything.

-- name: claim
-- scope: system, workers serve the mailboxes of all workspaces
-- Leases run by the database's clock, work falls due by the application's ($3). What the mailboxes hold is read after
-- they were locked (see the functions). Not those of $7 that are not given back: the caller has them in its hands, and
-- renews their leases where they ran out while it stood still.
with picked as (
  select id from mailbox
  where kind = $2 and due_at <= $3 and (lease_until is null or lease_until < clock_timestamp())
    and (owner is null or id <> all($7::text[]))
  order by due_at
  limit $4
  for update skip locked
), taken as (
  update mailbox m
  set owner = $1, epoch = m.epoch + 1, attempt = m.attempt + 1,
      lease_until = clock_timestamp() + make_interval(secs => $5)
  from picked
  where m.id = picked.id
  returning m.id, m.workspace_id, m.epoch, m.arrivals, m.attempt
)
select t.*, c.items, c.steps, mailbox_context($2, t.workspace_id, t.id) as context
from taken t cross join lateral mailbox_contents(t.id, $6) c;

-- name: hold
-- A new mailbox that is held from its beginning: of work that this process has already in its hands. $5 names this one
-- hold: repeated, since its outcome was unknown, it is the same.
insert into mailbox as m(id, workspace_id, kind, arrivals, due_at, owner, epoch, attempt, lease_until)
values ($1, $2, $3, 0, $4, $5, 1, 1, clock_timestamp() + make_interval(secs => $6))
on conflict (id) do update set lease_until = excluded.lease_until where m.owner = excluded.owner and m.epoch = 1
returning epoch;

-- name: pending
-- scope: system, the mailbox is held by the caller
-- What a claimed mailbox holds now; both halves are of one snapshot.
select m.arrivals, c.items
from mailbox m cross join lateral mailbox_contents(m.id, $3) c
where m.id = $1 and m.epoch = $2;

-- name: arrivals
-- scope: system, the mailboxes are held by the caller
select id, arrivals from mailbox where id = any($1::text[]);

-- name: renew
-- scope: system, the mailboxes are held by the caller
with held as (
  select m.id from mailbox m join unnest($1::text[], $2::bigint[]) as h(id, epoch)
  on m.id = h.id and m.epoch = h.epoch
  order by m.id for update of m
)
update mailbox m set lease_until = clock_timestamp() + make_interval(secs => $3)
from held where m.id = held.id
returning m.id;

-- name: release
-- scope: system, the mailbox is held by the caller
-- $3: arrivals that the holder has seen; $4: its next timer; $5: now. What came meanwhile is due at once. Until $6 nobody
-- may claim it.
update mailbox
set owner = null, lease_until = clock_timestamp() + ($6::timestamptz - $5::timestamptz), attempt = 0, epoch = epoch + 1, due_at = case when arrivals > $3 then $5::timestamptz else $4::timestamptz end
where id = $1 and epoch = $2
returning due_at;

-- name: postpone
-- scope: system, the mailbox is held by the caller
update mailbox set owner = null, lease_until = null, epoch = epoch + 1, due_at = $3::timestamptz
where id = $1 and epoch = $2
returning attempt;

-- name: ring
-- Work for a mailbox from outside of a turn: makes the mailbox if need be, due at $4 or earlier.
insert into mailbox as m(id, workspace_id, kind, due_at) values ($1, $2, $3, $4)
on conflict (id) do update set arrivals = m.arrivals + 1, due_at = least(m.due_at, excluded.due_at);

-- name: notify
-- scope: system, wakes workers, carries nothing
select pg_notify('greenline_work', $1);

-- name: save_steps
-- scope: system, the fence of the mailbox is the check
-- Writes nothing for a mailbox whose epoch is not the writer's any more.
with held as materialized (
  select s.*, m.workspace_id
  from jsonb_to_recordset($1::jsonb) as s(
    mailbox_id text, epoch bigint, number int, inputs jsonb, kind text, has_effect boolean, result jsonb,
    at timestamptz)
  join mailbox m on m.id = s.mailbox_id and m.epoch = s.epoch
), saved as (
  insert into turn_step(mailbox_id, number, workspace_id, inputs, kind, has_effect, result, at)
  select mailbox_id, number, workspace_id, array(select jsonb_array_elements_text(inputs)::bigint), kind, has_effect,
    result, at
  from held
  on conflict (mailbox_id, number) do update
    set inputs = excluded.inputs, kind = excluded.kind, has_effect = excluded.has_effect, result = excluded.result,
        at = excluded.at
)
select mailbox_id, epoch, number from held;

-- name: drop_steps
-- scope: system, the mailbox is held by the caller
delete from turn_step s using mailbox m where s.mailbox_id = $1 and m.id = $1 and m.epoch = $2;
