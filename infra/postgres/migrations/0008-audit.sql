-- What operators did: who, what, why, before and after (projections/audit.ts).
CREATE TABLE audit_entry (
  -- The event.
  audit_id text COLLATE "C" PRIMARY KEY,
  -- Null for what belongs to no org.
  org_id text,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  details json NOT NULL,
  reason text,
  before json,
  after json
);

CREATE INDEX audit_entry_at ON audit_entry (at DESC, audit_id DESC);
CREATE INDEX audit_entry_org ON audit_entry (org_id, at DESC, audit_id DESC);
