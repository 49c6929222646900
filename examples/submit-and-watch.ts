/**
 * Submits one job and follows it to its end, over a socket that may break as often as it likes.
 *
 *   WEIR_URL=http://127.0.0.1:3000 WEIR_API_KEY=weir_live_… node dist/examples/submit-and-watch.js
 */
import { randomUUID } from 'node:crypto'
import { io } from 'socket.io-client'

const { WEIR_URL: baseUrl = 'http://127.0.0.1:3000', WEIR_API_KEY: apiKey = '' } = process.env

type Job = {
  readonly jobId: string
  readonly status: string
  readonly credits: { readonly held: string; readonly charged: string }
}
type JobEvent = { readonly revision: number; readonly type: string; readonly job: Job }
type Answer = { readonly ok: boolean; readonly events: readonly JobEvent[] }

async function submit(): Promise<Job> {
  const response = await fetch(`${baseUrl}/v1/jobs`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      // Keep the key and repeat the request with it whenever the answer did not arrive.
      'idempotency-key': randomUUID(),
    },
    body: JSON.stringify({ type: 'sandbox.run', input: { steps: 3, stepMs: 100 } }),
  })
  if (response.status !== 202) throw new Error(await response.text())
  // eslint-disable-next-line @typescript-eslint/consistent-type-assertions -- as OpenAPI says
  return (await response.json()) as Job
}

/** Every transition once and in order: the revision seen last is all the memory it needs. */
async function watch({ jobId }: Job, onEvent: (event: JobEvent) => void): Promise<Job> {
  const socket = io(baseUrl, { path: '/v1/socket', auth: { token: apiKey } })
  const channel = `job:${jobId}`
  let last = -1
  try {
    return await new Promise<Job>((resolve, reject) => {
      const take = (event: JobEvent): void => {
        if (event.revision <= last) return
        last = event.revision
        onEvent(event)
        if (!['queued', 'running'].includes(event.job.status)) resolve(event.job)
      }
      socket.on('connect_error', reject)
      socket.on('update', take)
      socket.on('connect', () => {
        socket.emit('subscribe', { channel, after: last }, ({ ok, events }: Answer) => {
          if (!ok) reject(new Error(`weir refused ${channel}`))
          else events.forEach(take)
        })
      })
    })
  } finally {
    socket.disconnect()
  }
}

const submitted = await submit()
console.log(`submitted ${submitted.jobId}, holds ${submitted.credits.held} micro-credits`)
const job = await watch(submitted, ({ revision, type }) => console.log(`#${revision} ${type}`))
console.log(`${job.status}, charged ${job.credits.charged} micro-credits`)
