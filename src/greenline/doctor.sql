-- name: quarantine
-- scope: system, what came as a webhook and could not be read belongs to nobody
select count(*) as bodies, max(received_at) as last, (array_agg(reason order by received_at desc))[1] as reason
from quarantine;

-- name: accounts
-- scope: system, the operator looks at the numbers of all workspaces
select workspace_id, phone_number_id, phone_number, business_account_id, token, assigned_agent_id, enable_messaging
from whatsapp_account order by workspace_id, phone_number_id;
