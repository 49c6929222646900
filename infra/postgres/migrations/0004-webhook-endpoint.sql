-- The endpoints that orgs registered for their webhooks (projections/webhook-outbox.ts): one row
-- per org, because each page of events asks for those of all of its orgs.
CREATE TABLE webhook_endpoint (
  org_id text PRIMARY KEY,
  endpoints json NOT NULL,
  revision integer NOT NULL
) WITH (fillfactor = 50);

-- Lists of an org, newest first: a cursor compares both columns at once, so both go down.
DROP INDEX webhook_outbox_org;
CREATE INDEX webhook_outbox_org ON webhook_outbox (org_id, created_at DESC, delivery_id DESC);

-- Lists by a status that few rows have: nearly all of an org's rows are delivered.
CREATE INDEX webhook_outbox_org_status
  ON webhook_outbox (org_id, status, created_at DESC, delivery_id DESC)
  WHERE status <> 'delivered';
