-- Who watches a conversation is told when its journal has grown, whichever server wrote to it. Every writer raises
-- last_seq, under the lock of the row: who sets watched and reads the journal then misses nothing. Nobody takes the mark
-- back, since a conversation ends; one that is not marked costs a comparison.
alter table conversation add column watched boolean not null default false;

create function tell_watchers() returns trigger language plpgsql as $$
begin
  perform pg_notify('greenline_work', 'journal ' || new.id);
  return null;
end $$;

create trigger conversation_watched after update on conversation
for each row when (new.watched and new.last_seq > old.last_seq) execute function tell_watchers();
