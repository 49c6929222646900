import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Client, newOrg, sandbox, type Org } from '../support/client.ts'
import { expectInvariants } from '../support/invariants.ts'
import { readMetrics } from '../support/metrics.ts'
import { bytesBeingWritten } from '../support/object-folder.ts'
import { faultRounds } from '../support/rounds.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWeir, type AddedRole, type Weir } from '../support/weir.ts'

// A process stands still for longer than its leases last, somebody else does its work, and then it
// wakes up and goes on as if nothing had happened.

const startMicro = 1_000_000_000n
const limitMs = 90_000
const leaseMs = 2_000
const largeBytes = 60_000_000
/** Jobs that are between two steps when their worker freezes. */
const steppingJobs = 10
const stepsOfSlow = 3

let weir: Weir

beforeAll(async () => {
  const env = { WEIR_LEASE_MS: String(leaseMs), WEIR_LOG_LEVEL: 'error' }
  weir = await startWeir({ env })
}, limitMs)

afterAll(async () => {
  try {
    await expectInvariants(weir)
  } finally {
    await weir.stop()
  }
}, limitMs)

async function openOrg(): Promise<Org> {
  const admin = new Client(weir.baseUrl, weir.dev.adminToken)
  return await newOrg(admin, { credits: startMicro })
}

function signal(pids: readonly number[], name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) process.kill(pid, name)
}

/** What the worker of the launcher has counted. */
async function counted(): Promise<{ lost: number; fenced: number; busy: number }> {
  const seen = await readMetrics(weir.metricsPorts[1])
  return {
    lost: seen.get('weir_lease_lost_total') ?? NaN,
    fenced: seen.get('weir_fenced_writes_total') ?? NaN,
    busy: seen.get('weir_worker_slots{state="busy"}') ?? NaN,
  }
}

async function freezeWorker(api: Client): Promise<void> {
  const before = await counted()
  const slow = sandbox({ steps: stepsOfSlow, stepMs: 2_000 })
  const stepping = Array.from({ length: steppingJobs }, () => api.submit(slow))
  const jobs = await Promise.all(stepping)
  await waitFor('the worker to have them', async () => (await counted()).busy === jobs.length)
  const large = await api.submit(sandbox({ steps: 1, outputBytes: largeBytes }))
  jobs.push(large)
  await waitFor('half a result', () => bytesBeingWritten(weir.home) > 500_000)
  const frozen = weir.pids('worker')
  signal(frozen, 'SIGSTOP')
  let other: AddedRole | undefined
  try {
    const { status } = await api.job(large.jobId)
    expect(status).toBe('running')
    other = await weir.add('worker')
    for (const { jobId } of jobs) await api.until(jobId, 'succeeded', 40_000)
    const ends = await Promise.all(jobs.map(async ({ jobId }) => await api.job(jobId)))

    signal(frozen, 'SIGCONT')
    const after = await waitFor('the worker to give up', async () => {
      const seen = await counted()
      return seen.busy === 0 && seen
    })
    // Each attempt was lost; the one that had its result ready tried to write it down.
    expect(after.lost - before.lost).toBe(jobs.length)
    expect(after.fenced - before.fenced).toBeGreaterThan(0)
    for (const end of ends) {
      expect(end.attempt).toBe(2)
      expect(await api.job(end.jobId)).toEqual({ ...end, credits: expect.anything() })
      const { bytes, sha256 } = await api.download(end.jobId)
      expect({ bytes: bytes.length, sha256 }).toEqual({
        bytes: end.result?.bytes,
        sha256: end.result?.sha256,
      })
    }
  } finally {
    signal(frozen, 'SIGCONT')
    await other?.stop()
  }
}

test(
  'a worker that wakes up after its leases ended is refused, and its jobs end once elsewhere',
  async () => {
    const { api } = await openOrg()
    for (let round = 1; round <= faultRounds; round += 1) await freezeWorker(api)
    await api.billed(startMicro, (1 + steppingJobs * stepsOfSlow) * faultRounds)
    // With I15: until now one projector has carried the log.
    await expectInvariants(weir)
  },
  limitMs * faultRounds,
)

test(
  'a projector that wakes up after another went on has missed nothing and doubles nothing',
  async () => {
    const { api } = await openOrg()
    const frozen = weir.pids('projector')
    const other = await weir.add('projector')
    const run = async (): Promise<void> => {
      const jobs = await Promise.all(Array.from({ length: 20 }, () => api.submit(sandbox())))
      for (const { jobId } of jobs) await api.until(jobId, 'succeeded', 30_000)
    }
    try {
      await run()
      signal(frozen, 'SIGSTOP')
      await run()
      signal(frozen, 'SIGCONT')
      await run()
      await api.billed(startMicro, 3 * 20 * 2)
    } finally {
      signal(frozen, 'SIGCONT')
      await other.stop()
    }
    // I15 is a promise where one projector carries the log: from here on it is a fresh one.
    await weir.kill('projector', 'SIGTERM')
    expect(weir.log).not.toContain('has missed an event')
  },
  limitMs,
)
