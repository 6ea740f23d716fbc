-- Traces that were tried in vain, of which there are few: what is given up is looked for every few seconds.
create index conversation_trace_tried on conversation(ended_at) where trace_due_at < 'infinity';
