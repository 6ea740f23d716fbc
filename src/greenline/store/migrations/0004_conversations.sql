-- The journal of conversations, and the projection that lists and filters read.

create table conversation (
  id text primary key,
  workspace_id text not null references workspace(id),
  agent_id text not null,
  branch_id text not null,
  version_id text not null,
  environment text not null default 'production',
  source text not null,                -- conversation_initiation_source: whatsapp, python_sdk, ...
  direction text,                      -- inbound, outbound
  text_only boolean not null,
  chat_id text,                        -- the WhatsApp chat it belongs to: its conversations are one thread
  phone_number_id text,
  user_id text,
  status text not null,                -- initiated, in-progress, processing, done, failed
  awaiting_first_user_message boolean not null default false,
  termination_reason text not null default '',
  error jsonb,                         -- {code, reason}
  started_at timestamptz not null,
  accepted_at timestamptz,             -- when its clock began to run
  ended_at timestamptz,
  last_agent_message_at timestamptz,
  last_user_message_at timestamptz,
  last_seq bigint not null default 0,
  message_count int not null default 0,
  user_message_count int not null default 0,
  agent_message_count int not null default 0,
  tool_names text[] not null default '{}',
  title text,
  summary text,
  call_successful text,
  main_language text,
  rating int,
  feedback jsonb,                      -- {score, ...} as metadata.feedback shows it
  llm_usage jsonb not null default '{}',
  cost double precision,
  initiation jsonb not null default '{}',  -- conversation_initiation_client_data
  authorization_method text not null default 'public'
);
create index conversation_list on conversation(workspace_id, started_at desc, id desc);
create index conversation_agent on conversation(workspace_id, agent_id, started_at desc);
create index conversation_chat on conversation(chat_id, started_at desc) where chat_id is not null;
create index conversation_user on conversation(workspace_id, user_id) where user_id is not null;

create table conversation_event (
  conversation_id text not null references conversation(id) on delete cascade,
  seq bigint not null,
  workspace_id text not null,
  at timestamptz not null,
  kind text not null,
  data jsonb not null,
  primary key (conversation_id, seq)
);

-- Files of a conversation: what a person sent, or a client uploaded. Bytes lie in the data directory.
create table conversation_file (
  id text primary key,
  workspace_id text not null references workspace(id),
  conversation_id text not null references conversation(id) on delete cascade,
  filename text not null,
  mime_type text not null,
  size_bytes bigint not null,
  sha256 bytea not null,
  created_at timestamptz not null
);
create index conversation_file_conversation on conversation_file(conversation_id);
