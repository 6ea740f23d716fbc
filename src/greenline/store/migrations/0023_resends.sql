-- How often the outcome of a message was unknown, and the ids under which Meta accepted it and then did not send it.

alter table outbox
  add column unknown_outcomes int not null default 0,
  add column dropped_wamids text[] not null default '{}';
