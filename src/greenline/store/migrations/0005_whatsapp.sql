-- Numbers, the chats on them, and the messages that leave.

create table whatsapp_account (
  phone_number_id text primary key,    -- Meta's id; a number is in one workspace at a time
  workspace_id text not null references workspace(id),
  business_account_id text not null,
  business_account_name text not null,
  phone_number_name text not null,
  phone_number text not null,          -- E.164 with a plus
  account_type text,                   -- cloud_api, coexistence
  token bytea not null,                -- encrypted
  assigned_agent_id text references agent(id) on delete set null,
  enable_messaging boolean not null default true,
  enable_audio_message_response boolean not null default true,
  enable_typing_indicator boolean not null default true,
  is_token_expired boolean not null default false,
  token_checked_at timestamptz,
  findings jsonb not null default '[]',  -- what import and checks found missing: [{code, message}]
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index whatsapp_account_workspace on whatsapp_account(workspace_id, created_at);
create index whatsapp_account_agent on whatsapp_account(assigned_agent_id);

-- A chat is a person (or group) on a number; its id is the id of its mailbox.
create table whatsapp_chat (
  id text primary key,
  workspace_id text not null references workspace(id),
  phone_number_id text not null references whatsapp_account(phone_number_id) on delete cascade,
  wa_id text,                          -- phone digits as Meta writes them
  bsuid text,                          -- business-scoped user id
  group_id text,
  profile_name text,
  username text,
  last_user_message_at timestamptz,    -- opens the 24-hour window
  last_inbound_wamid text,
  pair_clock timestamptz,              -- when the pair rate is repaid (virtual scheduling)
  marketing_stopped boolean not null default false,
  unsupported_told_in text,            -- conversation in which the person was told of an unsupported type
  created_at timestamptz not null
);
create index whatsapp_chat_number on whatsapp_chat(phone_number_id);

-- A template as Meta has it, read when one is sent and kept for a while.
create table whatsapp_template (
  business_account_id text not null,
  workspace_id text not null references workspace(id),
  name text not null,
  language text not null,
  data jsonb not null,
  fetched_at timestamptz not null,
  primary key (business_account_id, workspace_id, name, language)
);

-- How far a message has come. Statuses arrive repeated and in any order; a state only moves up. `failed` is final
-- unless the message was seen on the device after all.
create function delivery_rank(state text) returns int language sql immutable parallel safe return
  case state when 'accepted' then 1 when 'sent' then 2 when 'failed' then 3 when 'delivered' then 4
    when 'read' then 5 when 'played' then 6 else 0 end;

-- A message to a person. States: queued, sending, unknown, accepted, sent, delivered, read, played, failed.
create table outbox (
  id text primary key,                 -- goes out as biz_opaque_callback_data
  position bigint generated always as identity,  -- order in the chat
  workspace_id text not null,
  phone_number_id text not null,
  chat_id text not null,
  conversation_id text,
  kind text not null,                  -- type of the Graph message: text, template, interactive, ...
  body jsonb not null,                 -- the Graph message without recipient
  state text not null default 'queued',
  attempt int not null default 0,
  due_at timestamptz not null,
  wamid text,
  error jsonb,                         -- {code, title, details}
  pricing jsonb,
  created_at timestamptz not null,
  attempted_at timestamptz,
  accepted_at timestamptz,
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  played_at timestamptz,
  failed_at timestamptz
);
create index outbox_open on outbox(phone_number_id, chat_id, position)
  where state in ('queued', 'sending', 'unknown');
create unique index outbox_wamid on outbox(wamid) where wamid is not null;
create index outbox_conversation on outbox(conversation_id, position);
