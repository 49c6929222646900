import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { Client, newOrg, sandbox } from '../support/client.ts'
import { Gate } from '../support/gate.ts'
import { expectInvariants } from '../support/invariants.ts'
import { bytesBeingWritten } from '../support/object-folder.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWeir, type Weir } from '../support/weir.ts'

// A process dies at one exact moment, the worst one: between two acts that belong together.

const startMicro = 100_000_000n
const limitMs = 60_000
const largeBytes = 60_000_000
/** Submissions that are on their way when the api dies. */
const submissions = 30
/** Requests of a dead api are taken to be in work for 15 s. */
const repeatLimitMs = 30_000

let weir: Weir
let api: Client

beforeAll(async () => {
  // Shorter leases than by default: here their end is only waited for.
  const env = { WEIR_LEASE_MS: '3000', WEIR_LOG_LEVEL: 'error' }
  weir = await startWeir({ env })
}, limitMs)

beforeEach(async () => {
  api = (await newOrg(new Client(weir.baseUrl, weir.dev.adminToken), { credits: startMicro })).api
})

afterAll(async () => {
  try {
    await expectInvariants(weir)
  } finally {
    await weir.stop()
  }
}, limitMs)

/** Expects one end, the second attempt's, with a result that is whole; and each step paid once. */
async function expectOneEnd({ jobId }: JobView, attempts: number, steps = 1): Promise<void> {
  const job = await api.until(jobId, 'succeeded', repeatLimitMs)
  expect(job.attempt).toBe(attempts)
  const events = await api.events(jobId)
  expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index))
  const count = (type: string) => events.filter((event) => event.type === type).length
  expect(count('job.succeeded')).toBe(1)
  expect(count('job.step_completed')).toBe(steps)
  const { bytes, sha256 } = await api.download(jobId)
  expect({ bytes: bytes.length, sha256 }).toEqual({
    bytes: job.result?.bytes,
    sha256: job.result?.sha256,
  })
}

const gateAt = async (type: string): Promise<Gate> =>
  await Gate.close(weir.databaseUrl, { table: 'event', condition: `new.type = '${type}'` })

test(
  'a worker that dies while it writes a result leaves no half of one',
  async () => {
    const job = await api.submit(sandbox({ steps: 1, outputBytes: largeBytes }))
    await waitFor('half a result', () => bytesBeingWritten(weir.home) > 1_000_000)
    await weir.kill('worker')
    const { status, result } = await api.job(job.jobId)
    expect({ status, result }).toEqual({ status: 'running', result: null })
    expect((await api.get(`/v1/jobs/${job.jobId}/result`)).status).toBe(409)
    await expectOneEnd(job, 2)
    await api.billed(startMicro, 1)
  },
  limitMs,
)

test(
  'a worker that dies between the result and the end repeats neither step nor payment',
  async () => {
    const gate = await gateAt('JobSucceeded')
    const job = await api.submit(sandbox({ steps: 1, outputBytes: 5_000 }))
    await gate.reached()
    await weir.kill('worker')
    await gate.lose()
    await gate.open()
    await expectOneEnd(job, 2)
    await api.billed(startMicro, 1)
  },
  limitMs,
)

test(
  'an end that arrives after its worker has died is the end',
  async () => {
    const gate = await gateAt('JobSucceeded')
    const job = await api.submit(sandbox({ steps: 2 }))
    await gate.reached()
    await weir.kill('worker')
    await gate.open()
    await expectOneEnd(job, 1, 2)
    await api.billed(startMicro, 2)
  },
  limitMs,
)

test(
  'a worker that dies while a call is being booked has it booked once',
  async () => {
    for (const arrives of [false, true]) {
      const { api: payer } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken), {
        credits: startMicro,
      })
      const gate = await gateAt('UsageRecorded')
      const { jobId } = await payer.submit(sandbox({ steps: 3 }))
      await gate.reached()
      await weir.kill('worker')
      if (!arrives) await gate.lose()
      await gate.open()
      await payer.until(jobId, 'succeeded', repeatLimitMs)
      await payer.billed(startMicro, 3)
    }
  },
  limitMs,
)

/** Customers whose submissions are at the gate when the api dies; none of them is answered. */
async function killMidSubmit(type: string, isLost: boolean): Promise<Client> {
  const { api: customer } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken), {
    credits: startMicro,
  })
  const gate = await gateAt(type)
  const answers = keys.map((key) => submitOnce(customer, key))
  await gate.reached()
  await weir.kill('api')
  expect(await Promise.all(answers)).toEqual(keys.map(() => undefined))
  if (isLost) await gate.lose()
  await gate.open()
  await waitFor('the api', isReady)
  return customer
}

const keys = Array.from({ length: submissions }, (_, index) => `order-${index}`)

async function isReady(): Promise<boolean> {
  const answer = await api.get('/readyz').catch(() => undefined)
  return answer?.status === 200
}

/** The id of the job; undefined when the answer is none, or that it cannot be told yet. */
async function submitOnce(customer: Client, key: string): Promise<string | undefined> {
  const headers = { 'idempotency-key': key }
  const answer = await customer.post<JobView>('/v1/jobs', sandbox(), headers).catch(() => undefined)
  if (answer === undefined || [409, 503].includes(answer.status)) return undefined
  expect(answer.status).toBe(202)
  return answer.json.jobId
}

async function expectOneJobPerKey(customer: Client): Promise<void> {
  const again = (key: string) =>
    waitFor(`an answer to ${key}`, () => submitOnce(customer, key), repeatLimitMs)
  const jobIds = await Promise.all(keys.map(again))
  expect(new Set(jobIds).size).toBe(submissions)
  for (const jobId of jobIds) await customer.until(jobId, 'succeeded', repeatLimitMs)
  const listed = await customer.all<JobView>('/v1/jobs')
  expect(listed.map(({ jobId }) => jobId).sort()).toEqual(jobIds.toSorted())
  await customer.billed(startMicro, submissions * 2)
  // Repeated once more, each is answered as it was.
  expect(await Promise.all(keys.map(again))).toEqual(jobIds)
}

test(
  'an api that dies anywhere in a submission makes one job and one hold per key',
  async () => {
    const customers = [
      // Before the hold is there, and while it still arrives.
      await killMidSubmit('CreditsHeld', true),
      await killMidSubmit('CreditsHeld', false),
      // Between the hold and the job, and before it can answer.
      await killMidSubmit('JobSubmitted', true),
      await killMidSubmit('JobSubmitted', false),
    ]
    await Promise.all(customers.map(expectOneJobPerKey))
  },
  limitMs,
)

test.each([
  ['is lost', true],
  ['arrives all the same', false],
] as const)(
  'a projector that dies in the middle of a page which %s leaves no hole and no double',
  async (_fate, isLost) => {
    const gate = await Gate.close(weir.databaseUrl, { table: 'job_status' })
    const jobs = await Promise.all(Array.from({ length: 20 }, () => api.submit(sandbox())))
    await gate.reached()
    await weir.kill('projector')
    if (isLost) await gate.lose()
    await gate.open()
    for (const { jobId } of jobs) await api.until(jobId, 'succeeded', repeatLimitMs)
    await api.billed(startMicro, jobs.length * 2)
    expect(await api.all('/v1/jobs')).toHaveLength(jobs.length)
    expect(weir.log).not.toContain('has missed an event')
  },
  limitMs,
)
