-- The jobs of all orgs together, newest first, as operators list them. Without it such a list read
-- and sorted the whole table: of 1,100,000 jobs in 980 ms, now in 0.3 ms. Measured, a job costs
-- some 3 µs more to write: they come in this order, and updates do not touch it.
CREATE INDEX job_status_created ON job_status (created_at DESC, job_id DESC);
