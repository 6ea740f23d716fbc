-- Templates as Meta has them, kept for a while.

-- name: cached
select data, fetched_at from whatsapp_template
where workspace_id = $1 and business_account_id = $2 and name = $3 and language = $4;

-- name: keep
-- All languages of a name as Meta has them now: what it has no more is forgotten.
with kept as (
  insert into whatsapp_template(workspace_id, business_account_id, name, language, data, fetched_at)
  select $1, $2, $3, t.language, t.data, $6 from unnest($4::text[], $5::jsonb[]) as t(language, data)
  on conflict (business_account_id, workspace_id, name, language)
    do update set data = excluded.data, fetched_at = excluded.fetched_at
)
delete from whatsapp_template
where workspace_id = $1 and business_account_id = $2 and name = $3 and language <> all($4::text[]);
