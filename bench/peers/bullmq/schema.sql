-- Amounts are micro-credits. `available` is what may still be held, `held` what running jobs may
-- cost.
CREATE TABLE accounts (
  org_id    uuid PRIMARY KEY,
  name      text NOT NULL,
  available bigint NOT NULL CHECK (available >= 0),
  held      bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  posted    bigint NOT NULL DEFAULT 0
);

-- Room for HOT updates: one row is rewritten twice per job.
ALTER TABLE accounts SET (fillfactor = 50);

CREATE TABLE api_keys (
  key_hash bytea PRIMARY KEY,
  org_id   uuid NOT NULL REFERENCES accounts
);

CREATE TABLE jobs (
  job_id      uuid PRIMARY KEY,
  org_id      uuid NOT NULL,
  type        text NOT NULL,
  status      text NOT NULL,
  input       jsonb NOT NULL,
  held        bigint NOT NULL,
  charged     bigint NOT NULL DEFAULT 0,
  result      jsonb,
  error       text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  started_at  timestamptz,
  finished_at timestamptz
) WITH (fillfactor = 80);

CREATE TABLE usage (
  job_id   uuid NOT NULL,
  call     integer NOT NULL,
  org_id   uuid NOT NULL,
  provider text NOT NULL,
  units    integer NOT NULL,
  charged  bigint NOT NULL,
  at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, call)
);
