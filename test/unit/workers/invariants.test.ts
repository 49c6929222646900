import { beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { AccountEvent } from '../../../domain/account/account-events.ts'
import type { JobEvent } from '../../../domain/job/job-events.ts'
import type { Recorded } from '../../../domain/catalog.ts'
import { EventFeed } from '../../../domain/ports/event-feed.ts'
import { AccountCheck } from '../../../workers/invariants/account-check.ts'
import { JobCheck } from '../../../workers/invariants/job-check.ts'
import { checkInvariants } from '../../../workers/invariants.ts'
import { accountHistory, jobHistory } from '../../support/arbitrary-histories.ts'
import { Recorder } from '../../support/recorded.ts'

const jobId = '01a20000-0000-7000-8000-000000000001'
const at = '2026-11-23T12:00:00.000Z'

/** A feed of exactly these events. */
class GivenFeed extends EventFeed {
  override readonly start = '0'
  readonly #events: readonly Recorded[]

  constructor(events: readonly Recorded[]) {
    super()
    this.#events = events
  }

  override async readPage(after: string) {
    const events = this.#events.filter(({ position }) => Number(position) > Number(after))
    return { events, position: events.at(-1)?.position ?? after }
  }

  override async wait(): Promise<void> {
    throw new Error('nobody waits here')
  }

  override compare(a: string, b: string): number {
    return Number(a) - Number(b)
  }

  override async head(): Promise<string> {
    return this.#events.at(-1)?.position ?? this.start
  }
}

const grant = (amountMicro: string): AccountEvent => ({
  type: 'CreditsGranted',
  data: {
    ...{ grantId: 'g1', kind: 'promo', amountMicro, coversDebtMicro: '0', priority: 100 },
    ...{ effectiveAt: at, expiresAt: null, reason: 'test' },
  },
})

const held = (amountMicro: string, holdId = jobId): AccountEvent => ({
  type: 'CreditsHeld',
  data: { holdId, jobId, amountMicro, heldAt: at, expiresAt: at },
})

const usage = (usageId: string, chargedMicro: string): AccountEvent => ({
  type: 'UsageRecorded',
  data: {
    ...{ usageId, holdId: jobId, jobId, jobType: 'sandbox.run', userId: null, model: null },
    ...{ provider: 'sandbox', units: { requests: '1' }, ms: 1, costNanoUsd: '0', chargedMicro },
    ...{ costRemainderPico: '0', priceRemainderPico: '0', priceVersion: 1, priced: true },
    ...{ allocations: [{ grantId: 'g1', amountMicro: chargedMicro }], uncoveredMicro: '0' },
    ...{ fromHoldMicro: chargedMicro, overrunMicro: '0', calledAt: at },
  },
})

const settled = (chargedMicro: string, releasedMicro: string, holdId = jobId): AccountEvent => ({
  type: 'HoldSettled',
  data: { holdId, jobId, chargedMicro, releasedMicro, outcome: 'succeeded' },
})

const submitted: JobEvent = {
  type: 'JobSubmitted',
  data: {
    ...{ jobId, orgId: 'acme', userId: null, jobType: 'sandbox.run', input: {}, inputKey: null },
    ...{ priority: 'normal', webhook: null, metadata: {}, runAt: null, deadlineSeconds: null },
    ...{ deadlineAt: null, attemptsMax: 5, estimateMicro: '100', priceVersion: 1 },
    ...{ traceparent: null, submittedAt: at },
  },
}

const canceled = (holdId = jobId): JobEvent => ({
  type: 'JobCanceled',
  data: { attempt: 0, holdId, finishedAt: at },
})

const requeued = (requeue: number): JobEvent => ({
  type: 'JobRequeued',
  data: {
    job: { jobId, orgId: 'acme', userId: null, jobType: 'sandbox.run', priority: 'normal' },
    ...{ requeue, estimateMicro: '100', requeuedAt: at, deadlineAt: null },
  },
})

const started = (epoch: number): JobEvent => ({
  type: 'JobStarted',
  data: { attempt: 1, epoch, workerId: 'w1', startedAt: at },
})

const succeeded = (epoch: number): JobEvent => ({
  type: 'JobSucceeded',
  data: {
    ...{ attempt: 1, epoch, holdId: jobId, finishedAt: at },
    result: { key: 'r', contentType: 'text/plain', bytes: 1, sha256: 'x', outputs: null },
  },
})

let recorder: Recorder
beforeEach(() => {
  recorder = new Recorder()
})

const account = (event: AccountEvent): Recorded => recorder.account(event)
const job = (event: JobEvent): Recorded => recorder.job(jobId, event)

async function brokenIn(
  events: readonly Recorded[],
  isDrained: boolean,
): Promise<readonly string[]> {
  const feed = new GivenFeed(events)
  const { violations } = await checkInvariants({
    ...{ feed, objects: null, readModels: null, isDrained },
  })
  return [...new Set(violations.map(({ invariant }) => invariant))].sort()
}

const broken = (...events: readonly Recorded[]) => brokenIn(events, true)
const brokenWhileLive = (...events: readonly Recorded[]) => brokenIn(events, false)

test('finds nothing in a job that went well', async () => {
  const story = [grant('1000'), held('100')].map(account)
  const run = [submitted, started(1), succeeded(1)].map(job)
  const end = [usage('u1', '60'), settled('60', '40')].map(account)
  expect(await broken(...story, ...run, ...end)).toEqual([])
})

test('finds a job that ended twice', async () => {
  const story = [account(grant('1000')), account(held('100'))]
  const run = [submitted, started(1), succeeded(1), succeeded(1)].map(job)
  expect(await broken(...story, ...run, account(settled('0', '100')))).toEqual(['I1', 'I11'])
})

test('finds a write of an attempt that had lost its lease', async () => {
  const story = [account(grant('1000')), account(held('100'))]
  const run = [submitted, started(2), succeeded(1)].map(job)
  expect(await broken(...story, ...run, account(settled('0', '100')))).toEqual(['I11'])
})

test('finds a hold beyond the balance', async () => {
  const story = [account(grant('50')), account(held('100'))]
  const run = [submitted, started(1), succeeded(1)].map(job)
  expect(await broken(...story, ...run, account(settled('0', '100')))).toEqual(['I4'])
})

test('finds a usage that was booked twice', async () => {
  const story = [grant('1000'), held('100'), usage('u1', '10'), usage('u1', '10')].map(account)
  const run = [submitted, started(1), succeeded(1)].map(job)
  expect(await broken(...story, ...run, account(settled('20', '80')))).toEqual(['I3'])
})

test('finds a settlement that does not say what was used', async () => {
  const story = [grant('1000'), held('100'), usage('u1', '10')].map(account)
  const run = [submitted, started(1), succeeded(1)].map(job)
  expect(await broken(...story, ...run, account(settled('0', '90')))).toEqual(['I3'])
})

test('finds a hold that was settled twice', async () => {
  const story = [account(grant('1000')), account(held('100'))]
  const run = [submitted, started(1), succeeded(1)].map(job)
  const end = [settled('0', '100'), settled('0', '100')].map(account)
  expect(await broken(...story, ...run, ...end)).toContain('I5')
})

test('finds a hold that is still open after the end of its job', async () => {
  const story = [account(grant('1000')), account(held('100'))]
  expect(await broken(...story, ...[submitted, started(1), succeeded(1)].map(job))).toEqual(['I5'])
})

test('finds a job that never ended, and a job without a hold', async () => {
  expect(await broken(job(submitted), job(started(1)))).toEqual(['I1', 'I2'])
})

test('finds a revision that is missing', async () => {
  const story = [account(grant('1000')), account(held('100'))]
  const run = [submitted, started(1), succeeded(1)].map(job)
  const all = [...story, ...run, account(settled('0', '100'))]
  const without = all.filter(({ type }) => type !== 'CreditsGranted')
  expect(await broken(...without)).toEqual(['I4', 'I6'])
})

describe('nothing is found in what random commands leave', () => {
  const found: string[] = []
  const note = (...told: readonly string[]): void => void found.push(told.join(' '))

  /** The id of a usage follows from its job; here two jobs may draw the same one. */
  const ofItsJob = (event: AccountEvent): AccountEvent => {
    if (event.type !== 'UsageRecorded') return event
    const usageId = `${event.data.jobId} ${event.data.usageId}`
    return { ...event, data: { ...event.data, usageId } }
  }

  beforeEach(() => {
    found.length = 0
  })

  test('on an account', () => {
    const property = fc.property(accountHistory, (history) => {
      const [check, events] = [new AccountCheck('account-acme', note), new Recorder()]
      for (const { event } of history) {
        check.see(events.account(ofItsJob(event)) as Recorded<AccountEvent>)
      }
      expect(found).toEqual([])
    })
    fc.assert(property, { numRuns: 500 })
  })

  test('in the stream of a job', () => {
    const property = fc.property(jobHistory, (history) => {
      const [check, events] = [new JobCheck('job-j1', note), new Recorder()]
      for (const { event } of history) check.see(events.job('j1', event) as Recorded<JobEvent>)
      expect(found).toEqual([])
    })
    fc.assert(property, { numRuns: 500 })
  })
})

describe('of grants and holds', () => {
  /** A job that runs after the first events of its account, and before the last ones. */
  const around = (first: readonly AccountEvent[], last: readonly AccountEvent[]) => [
    ...first.map(account),
    ...[submitted, started(1), succeeded(1)].map(job),
    ...last.map(account),
  ]
  const expired = (amountMicro: string): AccountEvent => ({
    ...{ type: 'CreditsExpired', data: { grantId: 'g1', amountMicro } },
  })
  const revoked = (amountMicro: string, fromGrant: string): AccountEvent => ({
    type: 'CreditsRevoked',
    data: {
      ...{ revocationId: 'r1', kind: 'adjustment', amountMicro, uncoveredMicro: '0' },
      ...{ allocations: [{ grantId: 'g1', amountMicro: fromGrant }], reason: 'test' },
    },
  })
  const of = (event: AccountEvent, more: Record<string, string>): AccountEvent =>
    ({ ...event, data: { ...event.data, ...more } }) as AccountEvent

  test('finds a grant that ended twice', async () => {
    const other = of(grant('1000'), { grantId: 'g2' })
    const twice = [grant('1000'), other, expired('1000'), expired('1000')]
    expect(await broken(...twice.map(account))).toEqual(['I4'])
    recorder = new Recorder()
    const inParts = [grant('1000'), expired('400'), expired('600')]
    expect(await broken(...inParts.map(account))).toEqual([])
  })

  test('finds a usage that takes more from a grant than it had', async () => {
    const first = [grant('50'), of(grant('1000'), { grantId: 'g2' }), held('100')]
    const last = [usage('u1', '60'), settled('60', '40')]
    expect(await broken(...around(first, last))).toEqual(['I4'])
  })

  test('finds a grant of which a debt took more than it had', async () => {
    const first = [of(grant('1000'), { coversDebtMicro: '950' }), held('100')]
    const last = [usage('u1', '60'), settled('60', '40')]
    expect(await broken(...around(first, last))).toEqual(['I4'])
  })

  test('finds an adjustment that takes other credits than it says', async () => {
    expect(await broken(...[grant('1000'), revoked('100', '100')].map(account))).toEqual([])
    recorder = new Recorder()
    expect(await broken(...[grant('1000'), revoked('100', '90')].map(account))).toEqual(['I4'])
  })

  test('finds a usage of one job on the hold of another', async () => {
    const first = [grant('1000'), held('100')]
    const last = [of(usage('u1', '60'), { jobId: 'other' }), settled('60', '40')]
    expect(await broken(...around(first, last))).toEqual(['I3'])
  })

  test('finds a settlement of one job on the hold of another', async () => {
    const first = [grant('1000'), held('100')]
    const last = [usage('u1', '60'), of(settled('60', '40'), { jobId: 'other' })]
    expect(await broken(...around(first, last))).toEqual(['I5'])
  })

  test('finds a second hold of a job that was submitted once', async () => {
    const first = [grant('1000'), held('100'), held('100', 'again')]
    const last = [settled('0', '100'), settled('0', '100', 'again')]
    expect(await broken(...around(first, last))).toEqual(['I2'])
  })
})

describe('of attempts', () => {
  const paid = () => [grant('1000'), held('100')].map(account)
  const end = () => account(settled('0', '100'))
  const step: JobEvent = {
    type: 'JobStepCompleted',
    data: { attempt: 1, epoch: 1, step: 'one', output: null, progress: 10 },
  }
  const again = (runAt = at): JobEvent => ({
    type: 'JobRetryScheduled',
    data: { attempt: 1, epoch: 1, reason: 'error', error: null, runAt },
  })
  const cancelRequested: JobEvent = { type: 'JobCancelRequested', data: { requestedAt: at } }
  const expired: JobEvent = { type: 'JobExpired', data: { holdId: jobId, finishedAt: at } }

  test.each([
    ['a step that was completed twice', [submitted, started(1), step, step, succeeded(1)], 'I11'],
    [
      'a canceled job that is tried again',
      [submitted, started(1), cancelRequested, again(), started(2), succeeded(2)],
      'I1',
    ],
    ['a running job that expires as if it waited', [submitted, started(1), expired], 'I1'],
    ['a job that is canceled while it waits', [submitted, cancelRequested, canceled()], 'I1'],
    ['an end that names the hold of another run', [submitted, canceled(`${jobId}/1`)], 'I5'],
  ] as const)('finds %s', async (_what, events, invariant) => {
    const story = [...paid(), ...events.map(job), end()]
    expect(await broken(...story)).toEqual([invariant])
  })
})

describe('a retry whose number was passed over', () => {
  // The process died after it had held the credits; the rescuer gave them back.
  const lost = () => [held('100', `${jobId}/1`), settled('0', '100', `${jobId}/1`)].map(account)
  const story = () => [
    ...[grant('1000'), held('100')].map(account),
    ...[submitted, canceled()].map(job),
    account(settled('0', '100')),
    ...lost(),
    account(held('100', `${jobId}/2`)),
    job(requeued(2)),
  ]

  test('breaks nothing while its job waits for its second run', async () => {
    expect(await brokenWhileLive(...story())).toEqual([])
  })

  test('is missed when its hold is settled before its end', async () => {
    const early = [...story(), account(settled('0', '100', `${jobId}/2`))]
    expect(await brokenWhileLive(...early)).toEqual(['I5'])
  })

  test('is found when it comes without a hold', async () => {
    const without = story().filter(
      ({ data }) => !('holdId' in data && data.holdId === `${jobId}/2`),
    )
    expect(await brokenWhileLive(...without)).toContain('I2')
  })
})
