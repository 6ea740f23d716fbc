-- Ordered work: the inbox of webhook events, the mailboxes that order them, the steps of running turns.

-- Who a person is to a number: every identifier seen (phone digits, business-scoped user id) leads to one chat.
create table chat_identity (
  phone_number_id text not null,
  identifier text not null,
  chat_id text not null,
  primary key (phone_number_id, identifier)
);
create index chat_identity_chat on chat_identity(chat_id);

-- An event as Meta sent it. `json` and not `jsonb`: it keeps \u0000 and is cheaper to store.
create table inbox (
  id bigint generated always as identity primary key,
  workspace_id text,                   -- null: the number belongs to no workspace
  dedupe text not null unique,         -- Meta gives no delivery id: wamid, or wamid:status:recipient
  mailbox_id text,                     -- null: needs no order
  kind text not null,                  -- message, status, account, template, standby, ...
  payload json not null,
  received_at timestamptz not null,
  done_at timestamptz,
  error text
);
create index inbox_waiting on inbox(mailbox_id, id) where done_at is null;
create index inbox_unordered on inbox(kind, id) where done_at is null and mailbox_id is null;
create index inbox_received on inbox using brin(received_at) with (pages_per_range = 16);
create index inbox_done on inbox(done_at) where done_at is not null;

-- What could not be read at all, with its bytes.
create table quarantine (
  id bigint generated always as identity primary key,
  received_at timestamptz not null,
  reason text not null,
  body bytea not null
);

-- One row per key is queue, lease and fence: `arrivals` counts what came in, `epoch` the claims.
create table mailbox (
  id text primary key,
  workspace_id text not null,
  kind text not null,                  -- chat: turns of one conversation; sender: sends of one number
  arrivals bigint not null default 1,
  due_at timestamptz,                  -- null: idle; past: has work; future: a timer
  lease_until timestamptz,             -- by the database's clock, whatever the application's clock says
  epoch bigint not null default 0,
  owner text,
  attempt int not null default 0
) with (fillfactor = 60);
create index mailbox_due on mailbox(due_at) where due_at is not null;

-- Results of the effects of a running turn: a turn that died is resumed, a tool that ran is not run again.
create table turn_step (
  mailbox_id text not null,
  number int not null,
  workspace_id text not null,
  inputs bigint[] not null,            -- inbox ids the turn answers
  kind text not null,                  -- model, tool
  has_effect boolean not null,         -- it may have changed the world: the turn can't be superseded any more
  result jsonb not null,
  at timestamptz not null,
  primary key (mailbox_id, number)
);
