-- The books of each org, and the time at which the log took an event, which they show.

DROP FUNCTION read_streams(text[], integer[], integer);
DROP FUNCTION read_feed(bigint, integer);

-- Reads many streams at once, each from a revision on. `n` numbers the requests from 1.
CREATE FUNCTION read_streams(streams text[], from_revisions integer[], count_max integer)
RETURNS TABLE (
  n integer, "position" bigint, revision integer, id uuid, type text, data text, meta text,
  "recordedMs" double precision
)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN QUERY
  SELECT r.n::integer, e.position, e.revision, e.id, e.type, e.data, e.meta,
    floor(date_part('epoch', e.recorded_at) * 1000)
  FROM unnest(streams, from_revisions) WITH ORDINALITY AS r (stream, from_revision, n)
  CROSS JOIN LATERAL (
    SELECT * FROM event x
    WHERE x.stream = r.stream AND x.revision >= r.from_revision
    ORDER BY x.revision
    LIMIT count_max
  ) e
  ORDER BY r.n, e.revision;
END $$;

-- A page of the log. VOLATILE, so that each statement sees what was committed before it.
CREATE FUNCTION read_feed(after bigint, count_max integer)
RETURNS TABLE (
  "position" bigint, stream text, revision integer, id uuid, type text, data text, meta text,
  "recordedMs" double precision
)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
  settled bigint := readable_position();
BEGIN
  RETURN QUERY
  SELECT e.position, e.stream, e.revision, e.id, e.type, e.data, e.meta,
    floor(date_part('epoch', e.recorded_at) * 1000)
  FROM event e
  WHERE e.position > after AND e.position <= settled
  ORDER BY e.position
  LIMIT count_max;
END $$;

-- Where the books of an org stand: what its next entry goes on from.
CREATE TABLE ledger_head (
  org_id text COLLATE "C" PRIMARY KEY,
  revision integer NOT NULL,
  hash text NOT NULL,
  seq integer NOT NULL,
  held numeric(40, 0) NOT NULL,
  balances json NOT NULL
) WITH (fillfactor = 50);

-- What kind of credits an entry that names a grant took.
CREATE TABLE ledger_grant (
  -- <org>:<grant>
  grant_key text COLLATE "C" PRIMARY KEY,
  kind text NOT NULL
);

-- The entries. `entry_id` is <org>:<seq with leading zeros>, so that its index is the order of each
-- org's books and no other one has to be written: a job writes about four of these rows.
CREATE TABLE ledger_entry (
  entry_id text COLLATE "C" PRIMARY KEY,
  tx_id text NOT NULL,
  org_id text NOT NULL,
  seq integer NOT NULL,
  booked_at_utc timestamptz NOT NULL,
  recorded_at_utc timestamptz NOT NULL,
  user_id text,
  account text NOT NULL,
  kind text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('debit', 'credit')),
  amount_micro numeric(40, 0) NOT NULL,
  currency text NOT NULL,
  balance_after_micro numeric(40, 0) NOT NULL,
  held_after_micro numeric(40, 0) NOT NULL,
  grant_id text,
  grant_kind text,
  job_id text,
  call_id text,
  provider text,
  model text,
  units_in text,
  units_out text,
  ms integer,
  price_version integer,
  cost_nano_usd numeric(40, 0),
  reason text,
  actor text NOT NULL,
  source text NOT NULL,
  stripe_ref text,
  corrects_entry_id text,
  prev_hash text NOT NULL,
  hash text NOT NULL
);
