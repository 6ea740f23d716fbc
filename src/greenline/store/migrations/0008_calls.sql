-- Calls on WhatsApp. Signalling is ordered by the mailbox of the call; media lives in the process that holds it.

create table whatsapp_call (
  id text primary key,
  workspace_id text not null references workspace(id),
  phone_number_id text not null references whatsapp_account(phone_number_id) on delete cascade,
  chat_id text not null,
  mailbox_id text not null unique,     -- 'call:' and the id under which the call began: Meta's, or ours for our own
  conversation_id text,                -- null: the call ended before the agent had it
  wacid text unique,                   -- Meta's id; null until Meta has made our call
  direction text not null,             -- inbound, outbound
  phase text not null,                 -- of channels/whatsapp/calls/machine.py
  request jsonb not null default '{}', -- of our own call: how the person is asked for permission
  request_outbox_id text,              -- the request as it was sent
  permission_state text,               -- sent, accepted, declined, blocked
  permission_permanent boolean,
  permission_by_users_call boolean,
  permission_requested_at timestamptz,
  permission_responded_at timestamptz,
  result text,                         -- answered, busy, no_answer, failed
  reason text,
  error_code int,                      -- Meta's
  talk_seconds int,                    -- Meta's word on how long it was
  statistics jsonb,                    -- packets received, lost, sent...
  created_at timestamptz not null,
  picked_up_at timestamptz,
  ended_at timestamptz
);
create index whatsapp_call_chat on whatsapp_call(chat_id, created_at desc);
create index whatsapp_call_conversation on whatsapp_call(conversation_id) where conversation_id is not null;
