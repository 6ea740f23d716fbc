-- name: load
-- What an agent holds and has begun since $4, besides the conversation $5: chats ($3) or calls. Chats on WhatsApp don't
-- count, since a person writes when they like; nor do calls of the business that wait for a permission, and who waited
-- in a queue in vain.
select
  count(*) filter (where status = 'in-progress' or (status = 'initiated' and phone_number_id is null)) as open,
  count(*) filter (where started_at > $4 and (accepted_at is not null or phone_number_id is not null)) as today
from conversation
where workspace_id = $1 and agent_id = $2 and text_only = $3 and (phone_number_id is null or not text_only) and id <> $5
  and (status in ('initiated', 'in-progress') or started_at > $4);
