-- How often the outcome of a message was unknown, and the ids under which Meta accepted it and then did not send it.

alter table outbox
  add column unknown_outcomes int not null default 0,
  add column dropped_wamids text[] not null default '{}';

-- When a person stopped or resumed marketing messages: Meta may tell an older change later.
alter table whatsapp_chat add column marketing_changed_at timestamptz;
