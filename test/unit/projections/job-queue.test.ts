import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Recorded } from '../../../domain/catalog.ts'
import type { JobEvent, JobSpec } from '../../../domain/job/job-events.ts'
import { jobQueue, jobQueueTable, queueTurnTable } from '../../../projections/job-queue.ts'
import type { JobQueueRow } from '../../../projections/job-queue.ts'
import { jobHistory } from '../../support/arbitrary-histories.ts'
import * as job from '../../support/job-history.ts'
import { ProjectedRows, Recorder } from '../../support/recorded.ts'

const { at } = job

class Queue {
  readonly recorder = new Recorder()
  readonly rows = new ProjectedRows(jobQueue)

  /** Takes events of one job, in pages of one. */
  async take(jobId: string, ...events: readonly JobEvent[]): Promise<void> {
    for (const event of events) await this.rows.page([this.recorder.job(jobId, event)])
  }

  async submit(jobId: string, orgId = 'acme', more: Partial<JobSpec> = {}): Promise<void> {
    await this.rows.page([this.submission(jobId, orgId, more)])
  }

  submission(jobId: string, orgId = 'acme', more: Partial<JobSpec> = {}): Recorded {
    return this.recorder.job(jobId, job.submitted({ jobId, orgId, ...more }), orgId)
  }

  async start(jobId: string): Promise<void> {
    const { orgId } = this.row(jobId)
    await this.rows.page([this.recorder.job(jobId, job.started(1), orgId)])
  }

  row(jobId: string): JobQueueRow {
    const row = this.all().find((each) => each.jobId === jobId)
    if (!row) throw new Error(`${jobId} is not in the queue`)
    return row
  }

  all(): readonly JobQueueRow[] {
    return this.rows.store.all(jobQueueTable) as unknown as readonly JobQueueRow[]
  }

  /** Queued jobs in the order in which they are claimed. */
  order(): readonly string[] {
    return this.all()
      .filter(({ state }) => state === 'queued')
      .toSorted(
        (a, b) => a.priority - b.priority || a.turn - b.turn || (a.jobId < b.jobId ? -1 : 1),
      )
      .map(({ jobId }) => jobId)
  }
}

describe('a row of job_queue', () => {
  test('has what a claim needs', async () => {
    const queue = new Queue()
    const more = { priority: 'high', runAt: at(60), deadlineAt: at(90) } as const
    await queue.submit('j1', 'acme', more)
    expect(queue.all()).toEqual([
      {
        ...{ jobId: 'j1', orgId: 'acme', userId: 'u1', jobType: 'image.upscale', turn: 1 },
        ...{ state: 'queued', priority: 0, runAt: at(60), deadlineAt: at(90), queuedAt: at(0) },
        ...{ cancelRequested: false, revision: 0 },
      },
    ])
  })

  test('runs while an attempt does, and waits between attempts', async () => {
    const queue = new Queue()
    await queue.take('j1', ...job.running)
    expect(queue.row('j1')).toMatchObject({ state: 'running', revision: 1, runAt: null })
    await queue.take('j1', job.stepCompleted('s1'), job.retryScheduled(1, { runAt: at(70) }))
    expect(queue.row('j1')).toMatchObject({ state: 'queued', revision: 3, runAt: at(70) })
  })

  test.each(['lease_expired', 'shutdown'] as const)(
    'runs again at once after %s',
    async (reason) => {
      const queue = new Queue()
      await queue.take('j1', ...job.running, job.retryScheduled(1, { reason, runAt: at(70) }))
      expect(queue.row('j1')).toMatchObject({ state: 'queued', runAt: null })
    },
  )

  test.each(['error', 'postponed'] as const)('waits for its time after %s', async (reason) => {
    const queue = new Queue()
    await queue.take('j1', ...job.running, job.retryScheduled(1, { reason, runAt: at(70) }))
    expect(queue.row('j1')).toMatchObject({ state: 'queued', runAt: at(70) })
  })

  test('tells that somebody wants the job canceled', async () => {
    const queue = new Queue()
    await queue.take('j1', ...job.histories.canceling)
    expect(queue.row('j1')).toMatchObject({ state: 'running', cancelRequested: true, revision: 2 })
  })

  test.each(['succeeded', 'failed', 'canceled', 'expired', 'absent', 'abandoned'] as const)(
    'is not there when the job is %s',
    async (status) => {
      const queue = new Queue()
      await queue.take('j1', ...job.histories[status])
      expect(queue.all()).toEqual([])
    },
  )

  test('comes back with a requeue, at the end of the line', async () => {
    const queue = new Queue()
    await queue.take('j1', ...job.histories.failed)
    await queue.submit('j2')
    await queue.submit('j3')
    await queue.take('j1', job.requeued(1, { deadlineAt: at(99) }))
    expect(queue.row('j1')).toMatchObject({ state: 'queued', revision: 3, deadlineAt: at(99) })
    expect(queue.row('j1')).toMatchObject({ cancelRequested: false, priority: 1, queuedAt: at(20) })
    expect(queue.order()).toEqual(['j2', 'j3', 'j1'])
  })

  test('comes back as whose job it is, and with its priority', async () => {
    const queue = new Queue()
    await queue.take('j1', ...job.histories.failed)
    const again = job.requeued(1)
    const spec = { ...job.jobSpec, userId: 'u7', priority: 'high' as const }
    await queue.take('j1', { ...again, data: { ...again.data, job: spec } } as JobEvent)
    expect(queue.row('j1')).toMatchObject({ userId: 'u7', orgId: 'acme', priority: 0 })
  })
})

describe('turns', () => {
  test('of one org follow the order of its submissions', async () => {
    const queue = new Queue()
    for (const jobId of ['j3', 'j1', 'j2']) await queue.submit(jobId)
    expect(queue.order()).toEqual(['j3', 'j1', 'j2'])
  })

  test('priority goes before them', async () => {
    const queue = new Queue()
    await queue.submit('j1', 'acme', { priority: 'low' })
    await queue.submit('j2', 'acme', { priority: 'normal' })
    await queue.submit('j3', 'acme', { priority: 'high' })
    expect(queue.order()).toEqual(['j3', 'j2', 'j1'])
  })

  test('the single job of an org comes next, however many another one has queued', async () => {
    const queue = new Queue()
    const flood = Array.from({ length: 1_000 }, (_, n) => `a${String(n).padStart(4, '0')}`)
    await queue.rows.page(flood.map((jobId) => queue.submission(jobId, 'org-a')))
    for (const jobId of flood.slice(0, 10)) await queue.start(jobId)
    await queue.submit('b', 'org-b')
    // Beside the one whose turn it is too; which of the two goes first is told by their ids.
    expect(queue.order().slice(0, 2)).toContain('b')
    expect(queue.order()).toHaveLength(991)
  })

  test('orgs that queue much share what is started', async () => {
    const queue = new Queue()
    const flood = (org: string, count: number) =>
      Array.from({ length: count }, (_, n) => queue.submission(`${org}-${n}`, org))
    await queue.rows.page([...flood('org-a', 300), ...flood('org-b', 100), ...flood('org-c', 20)])
    const started = new Map<string, number>()
    for (let round = 0; round < 60; round += 1) {
      const next = queue.order()[0]!
      started.set(queue.row(next).orgId, (started.get(queue.row(next).orgId) ?? 0) + 1)
      await queue.start(next)
    }
    expect(Object.fromEntries(started)).toEqual({ 'org-a': 20, 'org-b': 20, 'org-c': 20 })
  })

  test('an org that was away gets no credit for it', async () => {
    const queue = new Queue()
    for (let n = 0; n < 50; n += 1) {
      await queue.submit(`a-${n}`, 'org-a')
      await queue.start(`a-${n}`)
    }
    for (const jobId of ['b-1', 'b-2', 'b-3']) await queue.submit(jobId, 'org-b')
    for (const jobId of ['c-1', 'c-2', 'c-3']) await queue.submit(jobId, 'org-c')
    expect(queue.order()).toEqual(['b-1', 'c-1', 'b-2', 'c-2', 'b-3', 'c-3'])
    await queue.submit('a-51', 'org-a')
    expect(queue.order().indexOf('a-51')).toBeLessThan(4)
  })

  test('a job that starts late does not turn back what is served', async () => {
    const queue = new Queue()
    for (let n = 1; n <= 9; n += 1) await queue.submit(`a-${n}`, 'org-a')
    for (const jobId of ['a-9', 'a-1']) await queue.start(jobId)
    await queue.submit('b-1', 'org-b')
    expect(queue.row('b-1').turn).toBe(9)
  })

  test('a retry keeps its turn', async () => {
    const queue = new Queue()
    await queue.submit('j1')
    await queue.submit('j2')
    await queue.take('j1', job.started(1), job.retryScheduled(1, { reason: 'shutdown' }))
    expect(queue.order()).toEqual(['j1', 'j2'])
  })
})

test('the queue holds the job exactly while it lives, as it says itself', async () => {
  await fc.assert(
    fc.asyncProperty(jobHistory, async (prefixes) => {
      const queue = new Queue()
      for (const { event, state } of prefixes) {
        await queue.take('j1', event)
        const { status } = state
        if (status !== 'queued' && status !== 'running') {
          expect(queue.all()).toEqual([])
          continue
        }
        const { deadlineAt, cancelRequested } = state
        expect(queue.row('j1')).toMatchObject({ state: status, deadlineAt, cancelRequested })
      }
    }),
    { numRuns: 100 },
  )
})

test('an event that the queue sees twice changes nothing the second time', async () => {
  await fc.assert(
    fc.asyncProperty(jobHistory, async (prefixes) => {
      const recorder = new Recorder()
      const events = prefixes.map(({ event }) => recorder.job('j1', event))
      const once = await new ProjectedRows(jobQueue).pages(events)
      const doubled = events.flatMap((event) => [event, event])
      const twice = await new ProjectedRows(jobQueue).pages(doubled)
      expect(twice.everything()).toEqual(once.everything())
    }),
    { numRuns: 50 },
  )
})

test('turns are kept per org, and the one that is served', async () => {
  const queue = new Queue()
  await queue.submit('a1', 'org-a')
  await queue.submit('a2', 'org-a')
  await queue.start('a2')
  await queue.submit('b1', 'org-b')
  const turns = queue.rows.store.all(queueTurnTable).map((row) => [row['orgId'], row['turn']])
  expect(turns).toEqual([
    ['org-a', 2],
    ['*', 2],
    ['org-b', 2],
  ])
})
