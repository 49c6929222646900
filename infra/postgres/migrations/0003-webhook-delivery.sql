-- Webhooks to send. The projection of job events and the commands insert rows; the sender claims
-- them (claimSql in infra/postgres/delivery-store.ts) and writes what became of them.
CREATE TABLE webhook_outbox (
  -- The webhook-id, the same across all attempts.
  delivery_id text COLLATE "C" PRIMARY KEY,
  org_id text NOT NULL,
  -- Null for what is not about a job.
  job_id text,
  -- Null for a webhook that the job itself names.
  endpoint_id text,
  url text NOT NULL,
  -- By which deliveries are spread: deliveryHost() of domain/ports/delivery-store.ts.
  host text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(split_part(url, '/', 3))) STORED,
  event_type text NOT NULL,
  sequence integer NOT NULL,
  body text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'parked')),
  -- Attempts that are over.
  attempt integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL,
  -- Until then a sender holds the row; also the token of its claim.
  locked_until timestamptz,
  last_status integer,
  last_error text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
)
-- Each attempt updates the row; room in the page keeps updates of the unindexed columns local.
WITH (fillfactor = 80);

-- What waits, by host and time. Delivered rows, nearly all of them, cost nothing here.
CREATE INDEX webhook_outbox_pending ON webhook_outbox (host, next_attempt_at, delivery_id)
  WHERE status = 'pending';

-- Lists of an org by status, newest first.
CREATE INDEX webhook_outbox_org ON webhook_outbox (org_id, created_at DESC, delivery_id);
