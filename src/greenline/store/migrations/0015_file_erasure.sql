-- Files whose owner was deleted: a file goes after the row that named it, so that nothing ever names a file that is gone.
create table orphaned_file (
  workspace_id text not null references workspace(id),
  file_id text not null,
  primary key (workspace_id, file_id)
);
