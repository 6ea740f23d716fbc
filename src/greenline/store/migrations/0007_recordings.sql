-- Recordings of conversations. Bytes lie in the data directory or in a bucket.

create table conversation_recording (
  conversation_id text primary key references conversation(id) on delete cascade,
  workspace_id text not null references workspace(id),
  object_key text not null,
  size_bytes bigint not null,
  seconds double precision not null,
  has_user boolean not null,           -- whether the person, and whether the agent, is to be heard in it
  has_agent boolean not null,
  created_at timestamptz not null
);
