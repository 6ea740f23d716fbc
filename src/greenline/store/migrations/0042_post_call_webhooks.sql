-- Whom to tell of a conversation when it is over, as its client asked when it began. Written before the conversation,
-- which may never come to be; gone once it was told.
create table post_call_webhook (
  conversation_id text not null,
  kind text not null,                  -- transcription, audio
  workspace_id text not null references workspace(id),
  url text not null,
  secret bytea,                        -- sealed; signs what is told
  attempts int not null default 0,
  due_at timestamptz,                  -- not before then; null: as soon as there is something to tell
  created_at timestamptz not null,
  primary key (conversation_id, kind)
);
