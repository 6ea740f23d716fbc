-- Messages that Meta accepted and has told nothing of yet. One that is overdue shows that its webhooks do not reach us.

create index outbox_overdue on outbox(phone_number_id, accepted_at) where state = 'accepted';
