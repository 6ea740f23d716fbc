-- The first messages that are due, for a number behind which very many wait.
create index outbox_due on outbox(phone_number_id, due_at, position) where state in ('queued', 'sending', 'unknown');
