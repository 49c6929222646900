-- Limits: what may run at the same time, until when an org is throttled, and counts given back.

-- A throttle ends by itself; lists of orgs know it by this.
ALTER TABLE account_balance ADD COLUMN throttled_until timestamptz;

-- Only orgs that limit how many of their jobs run: while it is empty, claims do not look further.
CREATE TABLE concurrency_limit (
  org_id text PRIMARY KEY,
  -- [{ scope, key, max, until }]
  limits json NOT NULL
) WITH (fillfactor = 50);

-- As it was, but a negative cost may lower a counter: a request that was refused elsewhere, after
-- it had been counted, gives back what it took.
CREATE OR REPLACE FUNCTION take_limits(
  keys text[], request integer[], key_at integer[], now_ms double precision[],
  cost_ms double precision[], window_ms double precision[]
) RETURNS TABLE (before_ms double precision, after_ms double precision)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  arrivals double precision[];
  total integer := cardinality(request);
  first integer := 1;
  following integer;
  passes boolean;
BEGIN
  -- FOR UPDATE on a missing row locks nothing, so the row is made first.
  INSERT INTO limit_counter (key, arrival)
  SELECT k, 0 FROM unnest(keys) AS k ON CONFLICT (key) DO NOTHING;
  arrivals := ARRAY(
    SELECT c.arrival FROM limit_counter c WHERE c.key = ANY (keys) ORDER BY c.key FOR UPDATE
  );
  WHILE first <= total LOOP
    following := first;
    passes := true;
    WHILE following <= total AND request[following] = request[first] LOOP
      -- A hundredth of a millisecond forgives the rounding of sums.
      IF greatest(arrivals[key_at[following]] - now_ms[following], 0) + cost_ms[following]
        > window_ms[following] + 0.01
      THEN
        passes := false;
      END IF;
      following := following + 1;
    END LOOP;
    FOR c IN first .. following - 1 LOOP
      before_ms := greatest(arrivals[key_at[c]] - now_ms[c], 0);
      after_ms := NULL;
      IF passes THEN
        after_ms := before_ms + cost_ms[c];
        arrivals[key_at[c]] := now_ms[c] + after_ms;
      END IF;
      RETURN NEXT;
    END LOOP;
    first := following;
  END LOOP;
  INSERT INTO limit_counter AS c (key, arrival)
  SELECT n.key, n.arrival FROM unnest(keys, arrivals) AS n (key, arrival)
  ON CONFLICT (key) DO UPDATE SET arrival = excluded.arrival
    WHERE c.arrival <> excluded.arrival;
END $$;
