-- Read models and what workers keep beside them. Columns are the ones that projections/*.ts name.

CREATE TABLE projection_checkpoint (
  name text NOT NULL,
  version integer NOT NULL,
  -- 'live', or 'next' while a rebuild runs beside it.
  generation text NOT NULL CHECK (generation IN ('live', 'next')),
  position text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (name, generation)
) WITH (fillfactor = 50);

CREATE TABLE job_status (
  job_id text COLLATE "C" PRIMARY KEY,
  org_id text NOT NULL,
  user_id text,
  job_type text NOT NULL,
  status text NOT NULL,
  progress integer NOT NULL,
  attempt integer NOT NULL,
  revision integer NOT NULL,
  priority text NOT NULL,
  metadata json NOT NULL,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  result json,
  error json
) WITH (fillfactor = 80);
-- Lists of an org, newest first; the filters read along this order.
CREATE INDEX job_status_org ON job_status (org_id, created_at DESC, job_id DESC);

CREATE TABLE job_queue (
  job_id text COLLATE "C" PRIMARY KEY,
  org_id text NOT NULL,
  user_id text,
  job_type text NOT NULL,
  state text NOT NULL,
  priority integer NOT NULL,
  turn integer NOT NULL,
  run_at timestamptz,
  deadline_at timestamptz,
  cancel_requested boolean NOT NULL,
  revision integer NOT NULL,
  queued_at timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX job_queue_ready ON job_queue (priority, turn, job_id)
  WHERE state = 'queued' AND run_at IS NULL;
CREATE INDEX job_queue_due ON job_queue (run_at) WHERE state = 'queued' AND run_at IS NOT NULL;
CREATE INDEX job_queue_deadline ON job_queue (deadline_at) WHERE deadline_at IS NOT NULL;

CREATE TABLE queue_turn (
  org_id text PRIMARY KEY,
  turn integer NOT NULL
) WITH (fillfactor = 50);

-- Who works on what. An ended lease stays (owner null) until the queue has caught up with the
-- revision that its holder wrote, so that a finished job is not claimed again from a stale row.
CREATE SEQUENCE lease_epoch AS bigint;
CREATE TABLE job_lease (
  job_id text COLLATE "C" PRIMARY KEY,
  org_id text NOT NULL,
  job_type text NOT NULL,
  epoch bigint NOT NULL,
  owner text,
  expires_at timestamptz,
  -- The last revision that the holder of an ended lease knew.
  revision integer NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX job_lease_owner ON job_lease (owner) WHERE owner IS NOT NULL;
CREATE INDEX job_lease_expiry ON job_lease (expires_at) WHERE owner IS NOT NULL;

CREATE TABLE account_balance (
  org_id text PRIMARY KEY,
  name text NOT NULL,
  status text NOT NULL,
  posted numeric(40, 0) NOT NULL,
  held numeric(40, 0) NOT NULL,
  overdraft numeric(40, 0) NOT NULL,
  revision integer NOT NULL,
  opened_at timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE credit_hold (
  hold_id text COLLATE "C" PRIMARY KEY,
  org_id text NOT NULL,
  job_id text COLLATE "C" NOT NULL,
  remaining numeric(40, 0) NOT NULL,
  charged numeric(40, 0) NOT NULL,
  is_open boolean NOT NULL,
  held_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX credit_hold_job ON credit_hold (job_id);
CREATE INDEX credit_hold_open ON credit_hold (org_id, held_at, hold_id) WHERE is_open;

CREATE TABLE credit_grant (
  grant_id text PRIMARY KEY,
  org_id text NOT NULL,
  kind text NOT NULL,
  amount numeric(40, 0) NOT NULL,
  remaining numeric(40, 0) NOT NULL,
  priority integer NOT NULL,
  reason text NOT NULL,
  granted_at timestamptz NOT NULL,
  expires_at timestamptz
) WITH (fillfactor = 50);
CREATE INDEX credit_grant_org ON credit_grant (org_id, granted_at);
CREATE INDEX credit_grant_expiry ON credit_grant (expires_at)
  WHERE expires_at IS NOT NULL AND remaining > 0;

CREATE TABLE usage_entry (
  usage_id text COLLATE "C" PRIMARY KEY,
  org_id text NOT NULL,
  job_id text COLLATE "C" NOT NULL,
  job_type text NOT NULL,
  user_id text,
  provider text NOT NULL,
  model text,
  units json NOT NULL,
  ms integer NOT NULL,
  cost_nano_usd numeric(40, 0) NOT NULL,
  charged_micro numeric(40, 0) NOT NULL,
  price_version integer NOT NULL,
  is_priced boolean NOT NULL,
  called_at timestamptz NOT NULL
);
CREATE INDEX usage_entry_org ON usage_entry (org_id, called_at DESC, usage_id DESC);
CREATE INDEX usage_entry_job ON usage_entry (job_id);

CREATE TABLE job_webhook (
  job_id text COLLATE "C" PRIMARY KEY,
  job_type text NOT NULL,
  user_id text,
  url text NOT NULL,
  events json NOT NULL,
  metadata json NOT NULL,
  status text NOT NULL,
  progress integer NOT NULL,
  revision integer NOT NULL
) WITH (fillfactor = 80);

-- Answers to requests with an Idempotency-Key. In flight while `answer_status` is null.
CREATE TABLE idempotency_key (
  -- org, method and path, key.
  scope text COLLATE "C" PRIMARY KEY,
  body_sha256 text NOT NULL,
  -- What the first request was going to make; a repetition after a crash makes the same.
  subject_id text NOT NULL,
  locked_until timestamptz NOT NULL,
  answer_status integer,
  answer_body text,
  answer_location text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_key_age ON idempotency_key (created_at);
