-- Uploads on their way: the bytes are written before the row of the file, outside of any transaction. This row tells of
-- bytes that no file may ever name; the commit of the file takes it away.
create table pending_upload (
  workspace_id text not null references workspace(id),
  file_id text not null,
  until timestamptz not null,
  primary key (workspace_id, file_id)
);
create index pending_upload_late on pending_upload (until);
