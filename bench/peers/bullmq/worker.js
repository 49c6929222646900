// The worker process: runs jobs, meters the provider's calls, settles the balance.
import { Worker } from 'bullmq'
import { connectPostgres, connectRedis, onStop } from './shared.js'
import { priceMicroPerRequest, queueName, updatesChannel } from './shared.js'

process.title = 'peer-worker'

const pool = connectPostgres()
const redis = connectRedis()

// Usage, settlement and status in one statement: one round trip, one commit. A job that BullMQ
// runs a second time (stalled) finds its usage rows and its status there and changes nothing.
const settle = {
  name: 'settle',
  text: `WITH done AS (
    UPDATE jobs SET status = 'succeeded', charged = $3::bigint, result = $4,
      started_at = $5, finished_at = now()
    WHERE job_id = $1 AND status = 'queued' RETURNING job_id, org_id, held
  ), metered AS (
    INSERT INTO usage (job_id, call, org_id, provider, units, charged)
    SELECT job_id, call, org_id, 'sandbox', 1, $6::bigint
    FROM done, generate_series(1, $2::int) call
    ON CONFLICT DO NOTHING
  )
  UPDATE accounts SET held = accounts.held - done.held, posted = posted + $3::bigint,
    available = available + done.held - $3::bigint
  FROM done WHERE accounts.org_id = done.org_id`,
}

const fail = {
  name: 'fail',
  text: `WITH done AS (
    UPDATE jobs SET status = 'failed', error = $2, finished_at = now()
    WHERE job_id = $1 AND status = 'queued' RETURNING org_id, held
  )
  UPDATE accounts SET held = accounts.held - done.held, available = available + done.held
  FROM done WHERE accounts.org_id = done.org_id`,
}

const publish = (orgId, jobId, status) =>
  redis.publish(updatesChannel, JSON.stringify({ orgId, jobId, status, at: new Date() }))

/** The provider: one call that lasts `ms` milliseconds. */
async function callProvider(ms) {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
  return { ok: true }
}

async function run(job) {
  const { orgId, input } = job.data
  const startedAt = new Date()
  const announced = publish(orgId, job.id, 'running')
  for (let call = 0; call < input.steps; call++) await callProvider(input.stepMs)
  const charged = input.steps * priceMicroPerRequest
  const result = { steps: input.steps }
  const values = [job.id, input.steps, charged, result, startedAt, priceMicroPerRequest]
  await pool.query({ ...settle, values })
  await announced
  await publish(orgId, job.id, 'succeeded')
}

const worker = new Worker(queueName, run, { connection: connectRedis(), concurrency: 100 })
worker.on('error', (error) => console.error('worker:', error.message))
worker.on('failed', async (job, error) => {
  if (!job || job.attemptsMade < (job.opts.attempts ?? 1)) return
  await pool.query({ ...fail, values: [job.id, error.message] })
  await publish(job.data.orgId, job.id, 'failed')
})

onStop(async () => {
  await worker.close()
  await pool.end()
})
