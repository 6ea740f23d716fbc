-- Sign-in tickets of the console that were used, until they are too old to be shown again.

create table console_ticket (
  id text primary key,
  expires_at timestamptz not null
);
