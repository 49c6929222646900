import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { jobStream } from '../../../domain/job/job.ts'
import type { JobSpec } from '../../../domain/job/job-events.ts'
import type { Lease } from '../../../domain/ports/lease-store.ts'
import { isoTime } from '../../../domain/ports/clock.ts'
import { creditHoldTable } from '../../../projections/balance.ts'
import { jobQueueTable } from '../../../projections/job-queue.ts'
import { callMicro, leaseMs, MemoryWeir } from '../../support/memory-weir.ts'
import { accountStream } from '../../../domain/account/account.ts'

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  weir.startBackground()
})

afterEach(async () => {
  await weir.stop()
})

/** Claims the one job that is queued, as a worker does, and begins it. */
async function begin(jobId: string): Promise<Lease> {
  await weir.pass(0)
  const lease = await claim()
  await start(jobId, lease)
  return lease
}

async function claim(): Promise<Lease> {
  const now = weir.clock.now()
  const jobTypes = ['sandbox.run']
  const claimed = await weir.leases.claim({ owner: 'w1', jobTypes, limit: 1, now, leaseMs })
  const [lease] = claimed.leases
  if (!lease) throw new Error('there is nothing to claim')
  return lease
}

async function start(jobId: string, { epoch }: Lease): Promise<void> {
  const at = isoTime(weir.clock.now())
  const command = { type: 'StartJob' as const, epoch, workerId: 'w1', at }
  await weir.pipelines.jobs.handle(jobStream(jobId), command, weir.context('acme'))
}

async function succeed(jobId: string, { epoch }: Lease): Promise<unknown> {
  const object = { key: 'k', contentType: 'text/plain', bytes: 1, sha256: 'ab'.repeat(32) }
  const at = isoTime(weir.clock.now())
  const command = { type: 'SucceedJob' as const, epoch, result: { ...object, outputs: null }, at }
  return await weir.pipelines.jobs.handle(jobStream(jobId), command, weir.context('acme'))
}

const settlements = ({ log }: MemoryWeir) =>
  log.events
    .filter(({ type }) => type === 'HoldSettled')
    .map(({ data }) => JSON.parse(data) as Record<string, string>)

const held = async () => (await weir.account()).held

describe('a lease that expires', () => {
  test('ends the attempt: the job is offered again, the lease is free', async () => {
    const jobId = await weir.submit('sandbox.run')
    const lease = await begin(jobId)
    await weir.pass(leaseMs / 1_000 + 1)
    expect(weir.eventsOf(jobId)).toEqual(['JobSubmitted', 'JobStarted', 'JobRetryScheduled'])
    expect(await weir.job(jobId)).toMatchObject({ status: 'queued', failures: 1 })
    const again = await claim()
    expect(again.jobId).toBe(jobId)
    expect(again.epoch).toBeGreaterThan(lease.epoch)
    expect(weir.told.map(({ message }) => message)).toEqual(['lease expired, attempt ended'])
  })

  test('is ended within the trace of its job', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const jobId = await weir.submit('sandbox.run', { traceparent })
    await begin(jobId)
    await weir.pass(leaseMs / 1_000 + 1)
    const last = (await weir.store.read(jobStream(jobId), 0)).at(-1)
    expect(last).toMatchObject({ type: 'JobRetryScheduled', meta: { traceparent } })
  })

  test('its late holder is refused', async () => {
    const jobId = await weir.submit('sandbox.run')
    const lease = await begin(jobId)
    await weir.pass(leaseMs / 1_000 + 1)
    await expect(succeed(jobId, lease)).rejects.toMatchObject({ extra: { fenced: true } })
    expect((await weir.job(jobId)).status).toBe('queued')
  })

  test('before its holder began the job frees the job as it is', async () => {
    const jobId = await weir.submit('sandbox.run')
    await weir.pass(0)
    await claim()
    await weir.pass(leaseMs / 1_000 + 1)
    expect(weir.eventsOf(jobId)).toEqual(['JobSubmitted'])
    expect((await claim()).jobId).toBe(jobId)
    expect(weir.told).toEqual([])
  })

  test('after the job ended is freed and forgotten', async () => {
    const jobId = await weir.submit('sandbox.run')
    await succeed(jobId, await begin(jobId))
    await weir.pass(leaseMs / 1_000 + 1)
    expect(weir.eventsOf(jobId).at(-1)).toBe('JobSucceeded')
    expect(await weir.leases.expired(9)).toEqual([])
    await weir.pass(10)
    expect(await weir.leases.forget(9)).toBe(0)
  })

  test('of a job that somebody wants canceled cancels it', async () => {
    const jobId = await weir.submit('sandbox.run')
    await begin(jobId)
    await weir.cancel(jobId)
    await weir.pass(leaseMs / 1_000 + 1)
    expect((await weir.job(jobId)).status).toBe('canceled')
    expect(await held()).toBe(0n)
  })

  test('of a job without attempts left fails it', async () => {
    const jobId = await weir.submit('sandbox.run', { attemptsMax: 1 })
    await begin(jobId)
    await weir.pass(leaseMs / 1_000 + 1)
    const error = { code: 'lease_expired', retryable: true }
    expect(await weir.job(jobId)).toMatchObject({ status: 'failed', error })
    expect(await held()).toBe(0n)
  })

  test('and was claimed again before the rescuer came to it is not ended', async () => {
    const jobId = await weir.submit('sandbox.run')
    const lease = await begin(jobId)
    await weir.pass(leaseMs / 1_000 + 1)
    await start(jobId, await claim())
    const events = weir.eventsOf(jobId)
    const expired = weir.leases.expired.bind(weir.leases)
    weir.leases.expired = async () => [{ ...lease, owner: 'w1' }]
    await weir.pass(1)
    weir.leases.expired = expired
    await weir.pass(1)
    expect(weir.eventsOf(jobId)).toEqual(events)
  })

  test('is kept until the end of its attempt is in the log', async () => {
    const jobId = await weir.submit('sandbox.run')
    await begin(jobId)
    const append = weir.store.append.bind(weir.store)
    weir.store.append = () => Promise.reject(new Error('disk full'))
    await weir.pass(leaseMs / 1_000 + 1)
    expect(weir.told.map(({ message }) => message)).toContain('rescue failed')
    weir.store.append = append
    await weir.pass(2)
    expect(weir.eventsOf(jobId).at(-1)).toBe('JobRetryScheduled')
    expect((await claim()).jobId).toBe(jobId)
  })

  test('that was renewed in time is left alone', async () => {
    const jobId = await weir.submit('sandbox.run')
    const { epoch } = await begin(jobId)
    for (let n = 0; n < 5; n += 1) {
      await weir.pass(10)
      await weir.leases.renew({ owner: 'w1', epochs: [epoch], leaseMs })
    }
    expect((await weir.job(jobId)).status).toBe('running')
  })
})

describe('a deadline', () => {
  test('expires a job that was never started, and frees its credits', async () => {
    const jobId = await weir.submit('sandbox.run', { deadlineSeconds: 30 })
    await weir.pass(29)
    expect((await weir.job(jobId)).status).toBe('queued')
    await weir.pass(3)
    expect((await weir.job(jobId)).status).toBe('expired')
    expect(await held()).toBe(0n)
  })

  test('is enforced in each run of a job', async () => {
    const jobId = await weir.submit('sandbox.run', { deadlineSeconds: 30 })
    await weir.pass(32)
    await weir.requeue(jobId)
    await weir.pass(32)
    const ends = weir.eventsOf(jobId).filter((type) => type === 'JobExpired')
    expect(ends).toHaveLength(2)
    expect(await held()).toBe(0n)
  })

  test('fails a job between two attempts', async () => {
    const jobId = await weir.submit('sandbox.run', { deadlineSeconds: 30 })
    const { epoch } = await begin(jobId)
    const error = { code: 'flaky', message: 'Again.', retryable: true }
    const at = isoTime(weir.clock.now())
    const runAt = isoTime(weir.clock.now() + 29_000)
    const end = { type: 'EndAttempt' as const, epoch, reason: 'error' as const, error, runAt, at }
    const ended = await weir.pipelines.jobs.handle(jobStream(jobId), end, weir.context('acme'))
    await weir.leases.release([{ jobId, epoch, revision: ended.revision }])
    await weir.pass(32)
    expect(await weir.job(jobId)).toMatchObject({
      status: 'failed',
      error: { code: 'deadline_exceeded' },
    })
  })

  test('of a running job is left to its worker for a moment, then enforced', async () => {
    const jobId = await weir.submit('sandbox.run', { deadlineSeconds: 10 })
    await begin(jobId)
    await weir.pass(12)
    expect((await weir.job(jobId)).status).toBe('running')
    await weir.pass(3)
    expect(await weir.job(jobId)).toMatchObject({
      status: 'failed',
      error: { code: 'deadline_exceeded' },
    })
  })
})

describe('a hold whose job never appears', () => {
  let spec: JobSpec

  beforeEach(async () => {
    spec = weir.spec('sandbox.run')
    await weir.hold(spec)
  })

  test('is given back after a while, and the late submission is refused', async () => {
    await weir.pass(19)
    expect(await held()).toBe(10n * callMicro)
    await weir.pass(12)
    expect(await held()).toBe(0n)
    expect(weir.eventsOf(spec.jobId)).toEqual(['SubmissionAbandoned'])
    await expect(weir.submitSpec(spec)).rejects.toMatchObject({ code: 'unavailable' })
    expect(weir.readModels.all(creditHoldTable)).toMatchObject([{ isOpen: false }])
  })

  test('is told once', async () => {
    await weir.pass(120)
    expect(weir.told.map(({ message }) => message)).toEqual([
      'hold released: its job never appeared',
    ])
    expect(weir.count('HoldSettled')).toBe(1)
  })

  test('is kept when the job appears in time', async () => {
    await weir.pass(15)
    await weir.submitSpec(spec)
    await weir.pass(200)
    expect(await held()).toBe(10n * callMicro)
    expect(weir.eventsOf(spec.jobId)).toEqual(['JobSubmitted'])
  })
})

test('a hold whose job is over is left to settlement, later settled as the job ended', async () => {
  const alone = await new MemoryWeir().open()
  alone.startProjector()
  alone.startRescuer()
  const jobId = await alone.submit('sandbox.run', { runAt: isoTime(alone.clock.now() + 600_000) })
  await alone.pass(60)
  await alone.cancel(jobId)
  await alone.pass(15)
  expect(alone.count('HoldSettled')).toBe(0)
  await alone.pass(15)
  expect(settlements(alone)).toMatchObject([{ jobId, outcome: 'canceled' }])
  await alone.stop()
})

test('the hold of a requeue that never came is given back, the job stays as it was', async () => {
  const jobId = await weir.submit('sandbox.run', { attemptsMax: 1 })
  await begin(jobId)
  await weir.pass(leaseMs / 1_000 + 2)
  const job = await weir.job(jobId)
  expect([job.status, await held()]).toEqual(['failed', 0n])
  await weir.hold(job.spec, `${jobId}/1`)
  const events = weir.eventsOf(jobId)
  await weir.pass(72)
  expect(await held()).toBe(0n)
  expect(weir.eventsOf(jobId)).toEqual(events)
  const ends = settlements(weir).map(({ holdId, outcome }) => [holdId, outcome])
  expect(ends).toEqual([
    [jobId, 'failed'],
    [`${jobId}/1`, 'abandoned'],
  ])
  expect(weir.told.at(-1)?.message).toBe('hold released: its job never appeared')
})

test('a live job whose queue row is late keeps its hold', async () => {
  const lagging = await new MemoryWeir().open()
  const jobId = await lagging.submit('sandbox.run')
  const projector = lagging.startProjector()
  await lagging.pass(0)
  await projector.stop(AbortSignal.abort())
  // As if the queue had never heard of it.
  const forgotten = { table: jobQueueTable, put: [], remove: [jobId] }
  await lagging.readModels.commit([], [forgotten], 'live')
  expect(lagging.readModels.all(jobQueueTable)).toEqual([])
  lagging.startRescuer()
  await lagging.pass(200)
  expect((await lagging.account()).held).toBe(10n * callMicro)
  expect(lagging.eventsOf(jobId)).toEqual(['JobSubmitted'])
  await lagging.stop()
})

describe('credits that expire', () => {
  const grant = (grantId: string, amount: bigint, expiresAt: string) => {
    const terms = { kind: 'promo' as const, reason: 'welcome', priority: 1 }
    const at = isoTime(weir.clock.now())
    const command = { type: 'GrantCredits' as const, grantId, amount, expiresAt, at, ...terms }
    return weir.pipelines.accounts.handle(accountStream('acme'), command, weir.context('acme'))
  }
  const inSeconds = (seconds: number) => isoTime(weir.clock.now() + seconds * 1_000)

  test('are taken from the balance, once', async () => {
    const before = (await weir.account()).posted
    await grant('g1', 500n, inSeconds(30))
    await grant('g2', 70n, inSeconds(3_000))
    await weir.pass(25)
    expect((await weir.account()).posted).toBe(before + 570n)
    await weir.pass(20)
    expect((await weir.account()).posted).toBe(before + 70n)
    await weir.pass(60)
    expect(weir.count('CreditsExpired')).toBe(1)
  })

  test('wait until what a job reserves of them is settled', async () => {
    await weir.openOrg('small', 1n)
    const command = {
      ...{ type: 'GrantCredits' as const, grantId: 'g3', amount: 10n * callMicro },
      ...{ kind: 'promo' as const, reason: 'welcome', priority: 1 },
      ...{ expiresAt: inSeconds(20), at: isoTime(weir.clock.now()) },
    }
    await weir.pipelines.accounts.handle(accountStream('small'), command, weir.context('small'))
    const runAt = inSeconds(600)
    const jobId = await weir.submit('sandbox.run', { orgId: 'small', runAt })
    await weir.pass(60)
    expect((await weir.account('small')).posted).toBe(10n * callMicro)
    await weir.cancel(jobId)
    await weir.pass(20)
    expect((await weir.account('small')).posted).toBe(1n)
  })
})

test('what cannot be rescued keeps nobody else from being rescued', async () => {
  const broken = await weir.submit('sandbox.run')
  const lease = await begin(broken)
  const healthy = await weir.submit('sandbox.run')
  await begin(healthy)
  const read = weir.store.read.bind(weir.store)
  weir.store.read = async (stream, from) => {
    if (stream === jobStream(broken)) throw new Error('cannot read')
    return read(stream, from)
  }
  await weir.pass(leaseMs / 1_000 + 2)
  expect(weir.eventsOf(healthy).at(-1)).toBe('JobRetryScheduled')
  expect(weir.told.map(({ message }) => message)).toContain('rescue failed')
  weir.store.read = read
  await weir.pass(2)
  expect(weir.eventsOf(broken).at(-1)).toBe('JobRetryScheduled')
  expect(lease.epoch).toBe(1)
})
