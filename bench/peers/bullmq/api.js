// The API process: takes jobs, holds their price, queues them, pushes their updates to sockets.
import { createHash } from 'node:crypto'
import { Queue } from 'bullmq'
import Fastify from 'fastify'
import { Server } from 'socket.io'
import { v7 as newJobId } from 'uuid'
import { connectPostgres, connectRedis, onStop, setting } from './shared.js'
import { priceMicroPerRequest, queueName, updatesChannel } from './shared.js'

process.title = 'peer-api'

const pool = connectPostgres()
const redis = connectRedis()
const subscriber = connectRedis()
const queue = new Queue(queueName, {
  connection: redis,
  defaultJobOptions: {
    attempts: 5,
    backoff: { type: 'exponential', delay: 1000 },
    removeOnComplete: true,
    removeOnFail: { count: 5000 },
  },
})

const shelf = new Queue('shelf', { connection: redis })

// Hold and job row in one statement: one round trip, one commit.
const submitOne = {
  name: 'submit-one',
  text: `WITH hold AS (
    UPDATE accounts SET available = available - $4::bigint, held = held + $4::bigint
    WHERE org_id = $2 AND available >= $4::bigint RETURNING org_id
  )
  INSERT INTO jobs (job_id, org_id, type, status, input, held)
  SELECT $1, org_id, $3, 'queued', $5, $4::bigint FROM hold
  RETURNING created_at`,
}

const submitMany = {
  name: 'submit-many',
  text: `WITH hold AS (
    UPDATE accounts SET available = available - $3::bigint, held = held + $3::bigint
    WHERE org_id = $1 AND available >= $3::bigint RETURNING org_id
  )
  INSERT INTO jobs (job_id, org_id, type, status, input, held)
  SELECT j.job_id, hold.org_id, j.type, 'queued', j.input, j.held
  FROM hold, unnest($2::uuid[], $4::text[], $5::jsonb[], $6::bigint[]) j (job_id, type, input, held)
  RETURNING created_at`,
}

// ---- authentication: a hashed key per org, remembered for a minute ----

const keyTtlMs = 60_000
const keys = new Map()

async function orgOf(token) {
  const known = keys.get(token)
  if (known && known.until > Date.now()) return known.orgId
  const hash = createHash('sha256').update(token).digest()
  const { rows } = await pool.query('SELECT org_id FROM api_keys WHERE key_hash = $1', [hash])
  if (!rows[0]) return null
  keys.set(token, { orgId: rows[0].org_id, until: Date.now() + keyTtlMs })
  return rows[0].org_id
}

// ---- HTTP ----

const app = Fastify({ logger: false, keepAliveTimeout: 30_000 })
app.decorateRequest('orgId', null)
app.addHook('onRequest', async (request, reply) => {
  if (request.url === '/readyz') return
  request.orgId = await orgOf((request.headers.authorization ?? '').replace(/^Bearer /, ''))
  if (!request.orgId) return reply.code(401).send({ code: 'unauthenticated' })
})

const jobBody = {
  type: 'object',
  required: ['type', 'input'],
  additionalProperties: false,
  properties: {
    type: { const: 'sandbox.run' },
    input: {
      type: 'object',
      required: ['steps', 'stepMs'],
      additionalProperties: false,
      properties: {
        steps: { type: 'integer', minimum: 1, maximum: 1000 },
        stepMs: { type: 'integer', minimum: 0 },
      },
    },
  },
}
const batchBody = {
  type: 'object',
  required: ['jobs'],
  properties: { jobs: { type: 'array', minItems: 1, maxItems: 1000, items: jobBody } },
}

const priceOf = (job) => job.input.steps * priceMicroPerRequest

const accepted = (jobId, job, createdAt) => ({
  jobId,
  type: job.type,
  status: 'queued',
  createdAt,
  credits: { held: String(priceOf(job)), charged: '0' },
})

const queued = (jobId, orgId, job) => ({
  name: job.type,
  data: { orgId, input: job.input },
  opts: { jobId },
})

app.get('/readyz', async () => {
  await Promise.all([pool.query('SELECT 1'), redis.ping()])
  return { ok: true }
})

app.post('/jobs', { schema: { body: jobBody } }, async (request, reply) => {
  const { orgId, body: job } = request
  const jobId = newJobId()
  const values = [jobId, orgId, job.type, priceOf(job), job.input]
  const { rows } = await pool.query({ ...submitOne, values })
  if (!rows[0]) return reply.code(402).send({ code: 'insufficient_credits' })
  const { name, data, opts } = queued(jobId, orgId, job)
  await queue.add(name, data, opts)
  return reply.code(202).send(accepted(jobId, job, rows[0].created_at))
})

app.post('/jobs/batch', { schema: { body: batchBody } }, async (request, reply) => {
  const { orgId } = request
  const jobs = request.body.jobs.map((job) => ({ jobId: newJobId(), job }))
  const values = [
    orgId,
    jobs.map(({ jobId }) => jobId),
    jobs.reduce((sum, { job }) => sum + priceOf(job), 0),
    jobs.map(({ job }) => job.type),
    jobs.map(({ job }) => JSON.stringify(job.input)),
    jobs.map(({ job }) => priceOf(job)),
  ]
  const { rows } = await pool.query({ ...submitMany, values })
  if (!rows[0]) return reply.code(402).send({ code: 'insufficient_credits' })
  await queue.addBulk(jobs.map(({ jobId, job }) => queued(jobId, orgId, job)))
  const createdAt = rows[0].created_at
  return {
    items: jobs.map(({ jobId, job }) => ({ status: 202, job: accepted(jobId, job, createdAt) })),
  }
})

// BullMQ's `add` and nothing else, into a queue that nobody works on.
app.post('/add', { schema: { body: jobBody } }, async (request, reply) => {
  const jobId = newJobId()
  const { name, data, opts } = queued(jobId, request.orgId, request.body)
  await shelf.add(name, data, opts)
  return reply.code(202).send(accepted(jobId, request.body, new Date()))
})

app.get('/jobs/:jobId', async (request, reply) => {
  const { rows } = await pool.query({
    name: 'get-job',
    text: 'SELECT * FROM jobs WHERE job_id = $1 AND org_id = $2',
    values: [request.params.jobId, request.orgId],
  })
  return rows[0] ?? reply.code(404).send({ code: 'not_found' })
})

app.get('/balance', async (request) => {
  const { rows } = await pool.query({
    name: 'get-balance',
    text: 'SELECT available, held, posted FROM accounts WHERE org_id = $1',
    values: [request.orgId],
  })
  return rows[0]
})

// ---- sockets: Redis pub/sub brings every worker's updates to this process ----

const io = new Server(app.server, { path: '/socket', transports: ['websocket'] })
io.use(async (socket, next) => {
  const orgId = await orgOf(socket.handshake.auth.token ?? '')
  if (!orgId) return next(new Error('unauthenticated'))
  socket.data.orgId = orgId
  next()
})
io.on('connection', (socket) => {
  socket.on('subscribe', async ({ channel }, acknowledge) => {
    if (channel !== `org:${socket.data.orgId}`) return acknowledge({ ok: false, code: 'not_found' })
    await socket.join(channel)
    acknowledge({ ok: true })
  })
})
subscriber.on('message', (_, message) => {
  const update = JSON.parse(message)
  io.to(`org:${update.orgId}`).emit('update', update)
})
await subscriber.subscribe(updatesChannel)

await app.listen({ host: '127.0.0.1', port: Number(setting('PORT')) })
onStop(async () => {
  await io.close()
  await app.close()
  await queue.close()
  await shelf.close()
  await pool.end()
})
