/**
 * The jobs that may be claimed: $2 job types, $3 limit, $4 now. Gives the CTEs up to `chosen`.
 *
 * Candidates come from two partial indexes, in the order in which they may run: those that are
 * ready at once by (priority, turn), and those whose time has come. A row is passed over while a
 * lease is held, or while an ended lease knows a newer revision than the row (the queue lags).
 * The plan needs no statistics: every step is an index scan with a limit.
 *
 * @param filter a condition on the row `q` beside these
 */
export function candidates(filter: string): string {
  const columns = 'q.job_id, q.org_id, q.user_id, q.job_type, q.priority, q.turn, q.revision'
  const isFree = `
      AND NOT EXISTS (
        SELECT FROM job_lease l
        WHERE l.job_id = q.job_id AND (l.owner IS NOT NULL OR l.revision > q.revision))
      AND ${filter}`
  return `ready AS MATERIALIZED (
    SELECT ${columns}
    FROM job_queue q
    WHERE q.state = 'queued' AND q.run_at IS NULL AND q.job_type = ANY ($2)${isFree}
    ORDER BY q.priority, q.turn, q.job_id
    LIMIT $3
    FOR UPDATE OF q SKIP LOCKED
  ), due AS MATERIALIZED (
    SELECT ${columns}
    FROM job_queue q
    WHERE q.state = 'queued' AND q.run_at <= $4 AND q.job_type = ANY ($2)${isFree}
    ORDER BY q.run_at
    LIMIT $3
    FOR UPDATE OF q SKIP LOCKED
  ), chosen AS (
    SELECT * FROM ready UNION ALL SELECT * FROM due ORDER BY priority, turn, job_id LIMIT $3
  )`
}
