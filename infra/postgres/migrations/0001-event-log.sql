-- The event log, and what else the store adapters keep.
--
-- The order of the log. A reader that remembers the last position it saw and asks for what lies
-- beyond loses events: positions are handed out before commits and become visible in another
-- order. So a writer announces, before it takes positions, from where on it may write, and a
-- reader stays below the lowest announcement:
--
--   writer, one transaction                     reader, three statements, READ COMMITTED
--   1  L := last_value of the sequence          1  H := last_value of the sequence
--   2  shared advisory lock (class | L)         2  m := lowest granted lock of the class
--   3  lock the stream rows                     3  rows with position <= least(H, m)
--   4  nextval, insert, commit
--
-- A writer whose lock the reader did not see calls nextval after H was read: its positions lie
-- beyond H. One whose lock it saw writes beyond m. Locks go only after the commit is visible.
-- Not for replicas: advisory locks are not visible there.

CREATE SEQUENCE event_position AS bigint CACHE 1;

CREATE TABLE event (
  position bigint PRIMARY KEY,
  stream text COLLATE "C" NOT NULL,
  revision integer NOT NULL,
  id uuid NOT NULL,
  type text NOT NULL,
  data text NOT NULL,
  meta text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (stream, revision)
);

-- One row per stream: what writers lock. `appended` is the size of the newest append, so that the
-- expected revision can be told from the row that an INSERT … ON CONFLICT proposes.
CREATE TABLE stream (
  name text COLLATE "C" PRIMARY KEY,
  revision integer NOT NULL,
  appended integer NOT NULL
) WITH (fillfactor = 70);

-- 0x57 in the top byte of the 64-bit advisory lock keys that carry positions.
CREATE FUNCTION writer_lock_class() RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 87::bigint';

-- Writes a batch of appends, at most one per stream, sorted by stream name in an order that is the
-- same for every caller. Each append succeeds or conflicts by itself. The result has, for each
-- append, the stream's last revision, or null for a conflict.
--
-- INSERT … ON CONFLICT for the stream rows because it locks them in the order given and finds them
-- by the index whatever the planner believes. A stream that is not there is not created by an
-- append that expects a revision of it.
CREATE FUNCTION append_events(
  streams text[], expected integer[], counts integer[],
  event_streams text[], event_revisions integer[], ids uuid[],
  types text[], data text[], metas text[]
) RETURNS integer[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  accepted text[];
BEGIN
  PERFORM pg_advisory_xact_lock_shared(
    (writer_lock_class() << 56) | (last_value - (NOT is_called)::integer)
  ) FROM event_position;

  WITH moved AS (
    INSERT INTO stream AS s (name, revision, appended)
    SELECT a.name, a.expected + a.appended, a.appended
    FROM unnest(streams, expected, counts) AS a (name, expected, appended)
    WHERE a.expected = -1 OR (SELECT true FROM stream k WHERE k.name = a.name)
    ON CONFLICT (name) DO UPDATE
      SET revision = excluded.revision, appended = excluded.appended
      WHERE s.revision = excluded.revision - excluded.appended
    RETURNING s.name
  )
  SELECT coalesce(array_agg(name), '{}') INTO accepted FROM moved;

  IF cardinality(accepted) = cardinality(streams) THEN
    INSERT INTO event (position, stream, revision, id, type, data, meta)
    SELECT nextval('event_position'), e.*
    FROM unnest(event_streams, event_revisions, ids, types, data, metas) AS e;
    RETURN ARRAY(SELECT e + c FROM unnest(expected, counts) AS a (e, c));
  END IF;

  INSERT INTO event (position, stream, revision, id, type, data, meta)
  SELECT nextval('event_position'), e.*
  FROM unnest(event_streams, event_revisions, ids, types, data, metas)
    AS e (stream, revision, id, type, data, meta)
  WHERE e.stream = ANY (accepted);

  -- A refused append whose events are there already, same ids at the same place, is a repeat.
  RETURN ARRAY(
    SELECT CASE
      WHEN a.name = ANY (accepted) OR NOT EXISTS (
        SELECT FROM unnest(event_streams, event_revisions, ids) AS e (stream, revision, id)
        WHERE e.stream = a.name AND e.id IS DISTINCT FROM (
          SELECT x.id FROM event x WHERE x.stream = e.stream AND x.revision = e.revision
        )
      ) THEN a.expected + a.appended
    END
    FROM unnest(streams, expected, counts)
      WITH ORDINALITY AS a (name, expected, appended, n)
    ORDER BY a.n
  );
END $$;

-- Reads many streams at once, each from a revision on. `n` numbers the requests from 1.
CREATE FUNCTION read_streams(streams text[], from_revisions integer[], count_max integer)
RETURNS TABLE (
  n integer, "position" bigint, revision integer, id uuid, type text, data text, meta text
)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN QUERY
  SELECT r.n::integer, e.position, e.revision, e.id, e.type, e.data, e.meta
  FROM unnest(streams, from_revisions) WITH ORDINALITY AS r (stream, from_revision, n)
  CROSS JOIN LATERAL (
    SELECT * FROM event x
    WHERE x.stream = r.stream AND x.revision >= r.from_revision
    ORDER BY x.revision
    LIMIT count_max
  ) e
  ORDER BY r.n, e.revision;
END $$;

-- The position up to which the log is settled: nothing will appear at or below it any more.
CREATE FUNCTION readable_position() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  highest bigint;
  writing bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE 'the feed must be read in READ COMMITTED';
  END IF;
  SELECT last_value - (NOT is_called)::integer INTO highest FROM event_position;
  SELECT min(((classid::bigint & 16777215) << 32) | objid::bigint) INTO writing
  FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND classid::bigint >> 24 = writer_lock_class()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
  RETURN least(highest, writing);
END $$;

-- A page of the log. VOLATILE, so that each statement sees what was committed before it.
CREATE FUNCTION read_feed(after bigint, count_max integer)
RETURNS TABLE (
  "position" bigint, stream text, revision integer, id uuid, type text, data text, meta text
)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
  settled bigint := readable_position();
BEGIN
  RETURN QUERY
  SELECT e.position, e.stream, e.revision, e.id, e.type, e.data, e.meta
  FROM event e
  WHERE e.position > after AND e.position <= settled
  ORDER BY e.position
  LIMIT count_max;
END $$;

-- The position of the last event that a reader may see, 0 when there is none.
CREATE FUNCTION feed_head() RETURNS bigint
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
  settled bigint := readable_position();
BEGIN
  RETURN coalesce(
    (SELECT e.position FROM event e WHERE e.position <= settled ORDER BY e.position DESC LIMIT 1),
    0
  );
END $$;

-- Folded states. `version` is that of the state's shape.
CREATE TABLE snapshot (
  stream text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  revision integer NOT NULL,
  state text NOT NULL,
  PRIMARY KEY (stream, version)
);

-- Rate counters: `arrival` is the theoretical arrival time of the generic cell rate algorithm, in
-- ms since the epoch. Unlogged: a crash of Postgres forgives what was counted, and no request
-- waits for the disk.
CREATE UNLOGGED TABLE limit_counter (
  key text COLLATE "C" PRIMARY KEY,
  arrival double precision NOT NULL
) WITH (fillfactor = 50);

-- Decides many requests in their order, each all or nothing. `keys` are distinct and sorted;
-- check c belongs to request `request[c]`, is made at `now_ms[c]` and counts at `keys[key_at[c]]`.
-- The checks of a request lie together. For each check, in order, the result has the time from its
-- now, in ms, after which its counter is empty: without the request, and with it or null when the
-- request was refused.
CREATE FUNCTION take_limits(
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
    WHERE c.arrival < excluded.arrival;
END $$;
