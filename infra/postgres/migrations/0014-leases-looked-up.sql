-- Leases and the rows of their jobs are looked up one by one, by their keys, whatever the planner
-- believes. A quiet weir has neither, and a vacuum then tells the planner so. A plan made after it
-- read all leases for each job in the queue: with some hundred leases a claim took 30 ms, not half
-- a millisecond, until the next vacuum. A join can be planned so; a subquery for one row, which is
-- asked for each row, cannot.

CREATE OR REPLACE FUNCTION claimable(
  job_types text[], count_max integer, at timestamptz, chosen text[] DEFAULT '{}',
  full_orgs text[] DEFAULT '{}', full_users text[] DEFAULT '{}', full_types text[] DEFAULT '{}'
) RETURNS TABLE (
  job_id text, org_id text, user_id text, job_type text, priority integer, turn integer,
  revision integer
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH ready AS MATERIALIZED (
    SELECT q.job_id, q.org_id, q.user_id, q.job_type, q.priority, q.turn, q.revision
    FROM job_queue q
    WHERE q.state = 'queued' AND q.run_at IS NULL AND q.job_type = ANY (job_types)
      AND coalesce((
        SELECT l.owner IS NULL AND l.revision <= q.revision
        FROM job_lease l WHERE l.job_id = q.job_id
      ), true)
      AND q.job_id <> ALL (chosen) AND q.org_id <> ALL (full_orgs)
      AND q.org_id || '|' || coalesce(q.user_id, '') <> ALL (full_users)
      AND q.org_id || '|' || q.job_type <> ALL (full_types)
    ORDER BY q.priority, q.turn, q.job_id
    LIMIT count_max
    FOR UPDATE OF q SKIP LOCKED
  ), due AS MATERIALIZED (
    SELECT q.job_id, q.org_id, q.user_id, q.job_type, q.priority, q.turn, q.revision
    FROM job_queue q
    WHERE q.state = 'queued' AND q.run_at <= at AND q.job_type = ANY (job_types)
      AND coalesce((
        SELECT l.owner IS NULL AND l.revision <= q.revision
        FROM job_lease l WHERE l.job_id = q.job_id
      ), true)
      AND q.job_id <> ALL (chosen) AND q.org_id <> ALL (full_orgs)
      AND q.org_id || '|' || coalesce(q.user_id, '') <> ALL (full_users)
      AND q.org_id || '|' || q.job_type <> ALL (full_types)
    ORDER BY q.run_at
    LIMIT count_max
    FOR UPDATE OF q SKIP LOCKED
  )
  SELECT * FROM ready UNION ALL SELECT * FROM due ORDER BY priority, turn, job_id LIMIT count_max;
END $$;

-- Leases whose time is over, oldest first, and ended ones whose job runs all the same. That one is
-- told from a job whose end the queue has not seen yet by the revision that the holder left.
CREATE FUNCTION expired_leases(count_max integer) RETURNS TABLE (
  job_id text, org_id text, job_type text, epoch bigint, owner text
)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT lost.job_id, lost.org_id, lost.job_type, lost.epoch, lost.owner FROM (
    SELECT * FROM job_lease WHERE owner IS NOT NULL AND expires_at <= statement_timestamp()
    UNION ALL
    SELECT * FROM job_lease l
    WHERE l.owner IS NULL AND (
      SELECT q.state = 'running' AND q.revision >= l.revision
      FROM job_queue q WHERE q.job_id = l.job_id
    )
  ) lost
  ORDER BY lost.expires_at NULLS LAST LIMIT count_max;
END $$;

-- Forgets ended leases whose jobs are not in the queue any more. Returns how many.
CREATE FUNCTION forget_leases(count_max integer) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  forgotten integer;
BEGIN
  DELETE FROM job_lease WHERE ctid = ANY (ARRAY(
    SELECT l.ctid FROM job_lease l
    WHERE l.owner IS NULL
      AND (SELECT true FROM job_queue q WHERE q.job_id = l.job_id) IS NULL
    LIMIT count_max FOR UPDATE SKIP LOCKED
  ));
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;
