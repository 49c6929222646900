import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sandboxRun } from '../../../workers/handlers/sandbox-run.ts'
import { jobQueueTable } from '../../../projections/job-queue.ts'
import { callMicro, leaseMs, MemoryWeir } from '../../support/memory-weir.ts'
import type { Call } from '../../support/mortal.ts'
import { jobTypeThat, stored } from '../../support/test-job-types.ts'

// Workers that die, stand still, or lose their lease without noticing.

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  weir.startBackground()
})

afterEach(async () => {
  await weir.stop()
})

const sandbox = { jobTypes: [sandboxRun] }

function submit(input: Record<string, unknown> = {}, more = {}): Promise<string> {
  return weir.submit('sandbox.run', { input: { steps: 3, stepMs: 1_000, ...input }, ...more })
}

type Appended = readonly { readonly type: string }[]

const appends = (type: string) => (call: Call) =>
  call.method === 'append' && (call.args[2] as Appended).some((event) => event.type === type)

async function charged(): Promise<bigint> {
  return 1_000_000n * callMicro - (await weir.account()).posted
}

/** What must hold of a job that succeeded, whatever happened on the way. */
async function expectPaidOnce(jobId: string): Promise<void> {
  await weir.pass(20)
  const events = weir.eventsOf(jobId)
  expect(events.filter((type) => type === 'JobSucceeded')).toHaveLength(1)
  expect(events.filter((type) => type === 'JobStepCompleted')).toHaveLength(3)
  expect(weir.count('UsageRecorded')).toBe(3)
  expect(await charged()).toBe(3n * callMicro)
  expect((await weir.account()).held).toBe(0n)
  expect(weir.readModels.all(jobQueueTable)).toEqual([])
  expect(await weir.leases.forget(1_000)).toBe(0)
}

describe('a worker that is killed', () => {
  const moments: readonly [
    string,
    Partial<Record<'endBefore' | 'endAfter', (call: Call) => boolean>>,
  ][] = [
    ['before its claim was answered', { endAfter: ({ method }) => method === 'claim' }],
    ['before JobStarted', { endBefore: appends('JobStarted') }],
    ['after JobStarted', { endAfter: appends('JobStarted') }],
    ['before UsageRecorded', { endBefore: appends('UsageRecorded') }],
    ['between UsageRecorded and JobStepCompleted', { endBefore: appends('JobStepCompleted') }],
    ['after JobStepCompleted', { endAfter: appends('JobStepCompleted') }],
    ['before its result was stored', { endBefore: ({ method }) => method === 'put' }],
    ['after its result was stored', { endAfter: ({ method }) => method === 'put' }],
    ['after JobSucceeded', { endAfter: appends('JobSucceeded') }],
    ['before it gave the lease back', { endBefore: ({ method }) => method === 'release' }],
  ]

  test.each(moments)('%s: another one ends the job, and it is paid once', async (_, end) => {
    const { life } = weir.startWorker(sandbox)
    await weir.pass(1.5)
    Object.assign(life, end)
    const jobId = await submit()
    await weir.until('the worker to die', () => life.isOver)
    weir.startWorker(sandbox)
    expect(await weir.untilEnded(jobId, 60)).toMatchObject({ status: 'succeeded' })
    await expectPaidOnce(jobId)
  })

  test('after two steps: neither is run again', async () => {
    const { life } = weir.startWorker(sandbox)
    const jobId = await submit()
    await weir.until('two steps', () => weir.count('JobStepCompleted') === 2)
    life.isOver = true
    const diedAt = weir.clock.now()
    weir.startWorker(sandbox)
    const job = await weir.untilEnded(jobId)
    expect([...job.steps.values()].map(({ attempt }) => attempt)).toEqual([1, 1, 2])
    expect(job).toMatchObject({ attempt: 2, failures: 1 })
    // The lease runs out, the rescuer looks, a worker looks, and one step is left.
    expect(weir.clock.now() - diedAt).toBeLessThanOrEqual(leaseMs + 3_000 + 1_000)
    await expectPaidOnce(jobId)
  })

  test('again and again: the attempts are counted, and the job fails in the end', async () => {
    const jobId = await submit({}, { attemptsMax: 3 })
    for (let n = 0; n < 3; n += 1) {
      const { life } = weir.startWorker(sandbox)
      life.endAfter = appends('JobStarted')
      await weir.until('the worker to die', () => life.isOver)
    }
    const job = await weir.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'failed', attempt: 3, error: { code: 'lease_expired' } })
    await weir.pass(1)
    expect((await weir.account()).held).toBe(0n)
  })
})

describe('a worker that is cut off from its leases', () => {
  test('goes on working, and its late completion is refused', async () => {
    const first = weir.startWorker(sandbox)
    const jobId = await submit({ stepMs: 10_000 })
    await weir.pass(1)
    // Its calls never arrive and never fail: it does not know that it lost the lease.
    first.life.before = ({ method }) =>
      method === 'renew' || method === 'claim' ? new Promise(() => undefined) : null
    const second = weir.startWorker(sandbox)
    const job = await weir.untilEnded(jobId)
    await weir.pass(60)
    expect(first.attempts).toMatchObject([{ outcome: 'lease_lost' }])
    expect(second.attempts).toMatchObject([{ outcome: 'succeeded' }])
    expect(job.attempt).toBe(2)
    first.life.isOver = true
    await expectPaidOnce(jobId)
  })

  test('stops everything when it could not renew for as long as a lease lasts', async () => {
    const { life, attempts } = weir.startWorker(sandbox)
    const jobId = await submit({ stepMs: 10_000 })
    await weir.pass(1)
    life.before = ({ method }) =>
      method === 'renew' ? Promise.reject(new Error('no connection')) : null
    await weir.pass(leaseMs / 1_000 - 1)
    expect(attempts).toMatchObject([{ outcome: 'lease_lost' }])
    life.before = () => null
    expect(await weir.untilEnded(jobId)).toMatchObject({ status: 'succeeded', attempt: 2 })
    expect(weir.told.map(({ message }) => message)).toContain('leases could not be renewed')
  })

  test('survives failures that are shorter than that', async () => {
    const { life, attempts } = weir.startWorker(sandbox)
    const jobId = await submit({ stepMs: 10_000 })
    await weir.pass(1)
    let failures = 2
    life.before = ({ method }) =>
      method === 'renew' && failures-- > 0 ? Promise.reject(new Error('no connection')) : null
    expect((await weir.untilEnded(jobId)).attempt).toBe(1)
    expect(attempts).toMatchObject([{ outcome: 'succeeded' }])
  })
})

describe('a lease that was taken away', () => {
  /** Ends the lease under its worker, as if it had been too slow. */
  async function takeAway(jobId: string): Promise<void> {
    const { epoch } = await weir.job(jobId)
    const { revision } = await weir.pipelines.jobs.load(`job-${jobId}`)
    await weir.leases.release([{ jobId, epoch, revision }])
  }

  test('stops the attempt at the next renewal, and the job is run again', async () => {
    const { attempts } = weir.startWorker({ ...sandbox, concurrency: 1 })
    const jobId = await submit({ stepMs: 30_000 })
    await weir.pass(31)
    await takeAway(jobId)
    await weir.pass(leaseMs / 4_000)
    expect(attempts[0]).toMatchObject({ outcome: 'lease_lost' })
    const job = await weir.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2 })
    await expectPaidOnce(jobId)
  })

  test('while the job only begins: it does not run for ever without a lease', async () => {
    const { life } = weir.startWorker(sandbox)
    const leaseCalls = new Set(['claim', 'renew', 'release'])
    let hasBegun = false
    life.before = (call) => {
      if (hasBegun && leaseCalls.has(call.method)) return new Promise(() => undefined)
      hasBegun ||= appends('JobStarted')(call)
      return appends('JobStarted')(call) ? weir.clock.sleep(20_000) : null
    }
    const jobId = await submit({ stepMs: 100_000 })
    await weir.pass(19)
    expect(await weir.leases.expired(10)).toEqual([])
    await weir.pass(3)
    const begun = ['JobSubmitted', 'JobStarted', 'JobRetryScheduled']
    expect(weir.eventsOf(jobId)).toEqual(begun)
    life.isOver = true
    weir.startWorker(sandbox)
    expect(await weir.untilEnded(jobId)).toMatchObject({ status: 'succeeded' })
    await expectPaidOnce(jobId)
  })

  test('and claimed again by the same worker: the new attempt is kept', async () => {
    const { attempts, worker } = weir.startWorker(sandbox)
    const stubborn = jobTypeThat('test.stubborn', async (context) => {
      // Does not look at its signal: it ends when it ends.
      await weir.clock.sleep(40_000)
      return stored(context)
    })
    const other = weir.startWorker({ jobTypes: [stubborn] })
    const jobId = await weir.submit('test.stubborn')
    await weir.pass(1)
    await takeAway(jobId)
    await weir.pass(20)
    // Both attempts are there, and the newer one is renewed.
    expect(other.worker.running).toBe(2)
    const job = await weir.untilEnded(jobId)
    await weir.pass(60)
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2 })
    expect(other.attempts.map(({ outcome }) => outcome)).toEqual(['lease_lost', 'succeeded'])
    expect([other.worker.running, worker.running, attempts.length]).toEqual([0, 0, 0])
  })
})

describe('an attempt that cannot be ended in the log', () => {
  test('keeps its lease no longer than it lasts, though its worker lives', async () => {
    const { life, worker } = weir.startWorker(sandbox)
    const other = await submit({ stepMs: 60_000 })
    const jobId = await submit({ stepMs: 100 })
    await weir.pass(0)
    let isBroken = true
    const ends = (call: Call) => appends('JobSucceeded')(call) || appends('JobRetryScheduled')(call)
    life.before = (call) => (isBroken && ends(call) ? Promise.reject(new Error('broken')) : null)
    await weir.until('the attempt to be given up', () => worker.running === 1)
    isBroken = false
    expect((await weir.job(jobId)).status).toBe('running')
    const job = await weir.untilEnded(jobId, 30)
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2 })
    expect((await weir.job(other)).attempt).toBe(1)
  })

  test('after a success whose lease could not be given back is not run again', async () => {
    const { life } = weir.startWorker(sandbox)
    let failures = 1
    life.before = ({ method }) =>
      method === 'release' && failures-- > 0 ? Promise.reject(new Error('broken')) : null
    const jobId = await submit()
    await weir.untilEnded(jobId)
    await weir.pass(2 * (leaseMs / 1_000))
    await expectPaidOnce(jobId)
  })
})
