-- name: use
-- scope: system, a ticket belongs to no workspace: the key that is sealed in it tells which
-- The id, unless it was used before. $2: until when the ticket would be taken. $3: now.
with forgotten as (delete from console_ticket where expires_at < $3)
insert into console_ticket(id, expires_at) values ($1, $2)
on conflict (id) do nothing
returning id;
