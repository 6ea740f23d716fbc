-- name: accounts
-- scope: system, the operator looks at the numbers of all workspaces
select workspace_id, phone_number_id, phone_number, business_account_id, token, assigned_agent_id, enable_messaging
from whatsapp_account order by workspace_id, phone_number_id;
