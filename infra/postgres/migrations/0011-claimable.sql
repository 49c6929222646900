-- The jobs that may be claimed, in the order in which they may run; their rows are locked.
--
-- Candidates come from two partial indexes: those that are ready at once by (priority, turn), and
-- those whose time has come. A row is passed over while a lease is held, or while an ended lease
-- knows a newer revision than the row (the queue lags). `chosen` are jobs that are taken already;
-- the last three are orgs, users and job types of orgs without room.
--
-- The queue is empty one moment and long the next: a plan that was made for an empty one took a
-- tenth of a second on a long one. So each step is an index scan with a limit, whatever the
-- planner believes.
CREATE FUNCTION claimable(
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
      AND NOT EXISTS (
        SELECT FROM job_lease l
        WHERE l.job_id = q.job_id AND (l.owner IS NOT NULL OR l.revision > q.revision))
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
      AND NOT EXISTS (
        SELECT FROM job_lease l
        WHERE l.job_id = q.job_id AND (l.owner IS NOT NULL OR l.revision > q.revision))
      AND q.job_id <> ALL (chosen) AND q.org_id <> ALL (full_orgs)
      AND q.org_id || '|' || coalesce(q.user_id, '') <> ALL (full_users)
      AND q.org_id || '|' || q.job_type <> ALL (full_types)
    ORDER BY q.run_at
    LIMIT count_max
    FOR UPDATE OF q SKIP LOCKED
  )
  SELECT * FROM ready UNION ALL SELECT * FROM due ORDER BY priority, turn, job_id LIMIT count_max;
END $$;
