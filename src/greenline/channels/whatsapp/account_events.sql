-- What Meta tells of accounts, numbers and templates. One business account may have numbers in many workspaces.

-- name: lose_access
-- scope: system, the event names a business account, not a workspace_id
update whatsapp_account set is_token_expired = true,
  findings = coalesce((select jsonb_agg(f) from jsonb_array_elements(findings) f where f ->> 'code' <> $2), '[]')
    || jsonb_build_array(jsonb_build_object('code', $2::text, 'message', $3::text))
where business_account_id = $1
returning phone_number_id;

-- name: regain_access
-- scope: system, the event names a business account, not a workspace_id
-- The token may work again: the next look at the numbers that are due finds out. Findings of the codes $2 are over.
update whatsapp_account set is_token_expired = false, token_checked_at = null,
  findings = coalesce((
    select jsonb_agg(f) from jsonb_array_elements(findings) f where f ->> 'code' <> all($2::text[])), '[]')
where business_account_id = $1;

-- name: add_finding
-- scope: system, the event names a business account, not a workspace_id
-- Of all numbers of the account, or of the one with the digits or the id $2. It takes the place of one with the same code.
update whatsapp_account set
  findings = coalesce((select jsonb_agg(f) from jsonb_array_elements(findings) f where f ->> 'code' <> $3), '[]')
    || jsonb_build_array(jsonb_build_object('code', $3::text, 'message', $4::text))
where business_account_id = $1 and ($2::text is null or $2 in (ltrim(phone_number, '+'), phone_number_id));

-- name: drop_finding
-- scope: system, the event names a business account, not a workspace_id
update whatsapp_account set
  findings = coalesce((select jsonb_agg(f) from jsonb_array_elements(findings) f where f ->> 'code' <> $3), '[]')
where business_account_id = $1 and ($2::text is null or $2 in (ltrim(phone_number, '+'), phone_number_id));

-- name: rename
-- scope: system, the event names a business account, not a workspace_id
update whatsapp_account set phone_number_name = $3
where business_account_id = $1 and ltrim(phone_number, '+') = $2;

-- name: upgrade
-- scope: system, the event names a business account, not a workspace_id
update whatsapp_account set throughput_level = 'HIGH'
where business_account_id = $1 and ltrim(phone_number, '+') = $2;

-- name: forget_templates
-- scope: system, the event names a business account, not a workspace_id
-- One template ($2), or all: they are read again when one is sent.
delete from whatsapp_template where business_account_id = $1 and ($2::text is null or name = $2);
