-- Traces that go to a collector: when one is tried next; 'infinity': it has arrived or was given up.
alter table conversation add column trace_due_at timestamptz;
create index conversation_untraced on conversation(ended_at)
  where ended_at is not null and trace_due_at is distinct from 'infinity';
