import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { EngineRefusal } from '../../../domain/ports/engine-refusal.ts'
import { ObjectStoreUnavailable } from '../../../domain/ports/object-store.ts'
import type { HandlerContext } from '../../../workers/handlers/handler.ts'
import { AttemptStopped } from '../../../workers/job-attempt.ts'
import { JobError } from '../../../workers/job-error.ts'
import { sandboxRun } from '../../../workers/handlers/sandbox-run.ts'
import { jobQueueTable } from '../../../projections/job-queue.ts'
import { callMicro, leaseMs, MemoryWeir } from '../../support/memory-weir.ts'
import type { Call } from '../../support/mortal.ts'
import { jobTypeThat, paidCall, stored } from '../../support/test-job-types.ts'

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  weir.startBackground()
})

afterEach(async () => {
  await weir.stop()
})

const sandbox = { jobTypes: [sandboxRun] }

/** Three steps of a second each, unless it says otherwise. */
function submit(input: Record<string, unknown> = {}, more = {}): Promise<string> {
  return weir.submit('sandbox.run', {
    input: { steps: 3, stepMs: 1_000, ...input },
    ...more,
  })
}

const called = () => weir.count('UsageRecorded')

/** An append of such an event. */
const appends = (type: string) => (call: Call) =>
  call.method === 'append' &&
  (call.args[2] as readonly { readonly type: string }[]).some((event) => event.type === type)

async function charged(): Promise<bigint> {
  return 1_000_000n * callMicro - (await weir.account()).posted
}

describe('a job that succeeds', () => {
  test('goes all the way: events, usage, result, settlement, an empty queue', async () => {
    const { attempts } = weir.startWorker(sandbox)
    const jobId = await submit()
    const job = await weir.untilEnded(jobId)
    await weir.pass(15)
    expect(weir.eventsOf(jobId)).toEqual([
      'JobSubmitted',
      'JobStarted',
      ...['JobStepCompleted', 'JobStepCompleted', 'JobStepCompleted'],
      'JobSucceeded',
    ])
    expect(job).toMatchObject({ status: 'succeeded', attempt: 1, progress: 100, error: null })
    expect(called()).toBe(3)
    expect(await charged()).toBe(3n * callMicro)
    expect((await weir.account()).held).toBe(0n)
    expect(weir.readModels.all(jobQueueTable)).toEqual([])
    expect(await weir.leases.forget(100)).toBe(0)
    expect(attempts).toMatchObject([{ outcome: 'succeeded', ms: 3_000 }])
    expect(weir.told).toEqual([])
  })

  test('has a result that is there, whole, with its sha-256', async () => {
    weir.startWorker(sandbox)
    const { result } = await weir.untilEnded(await submit({ outputBytes: 2_000 }))
    const { object, body } = await weir.objects.get(result?.key ?? '')
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    expect(result).toMatchObject({ bytes: 2_000, sha256, contentType: 'application/json' })
    expect(object).toMatchObject({ bytes: 2_000, sha256 })
  })

  test('starts as soon as it was submitted', async () => {
    weir.startWorker(sandbox)
    await weir.pass(60)
    const submittedAt = weir.clock.now()
    const jobId = await submit()
    await weir.pass(0)
    expect(Date.parse((await weir.job(jobId)).startedAt ?? '')).toBe(submittedAt)
  })

  test('waits for its time', async () => {
    weir.startWorker(sandbox)
    const runAt = new Date(weir.clock.now() + 30_500).toISOString()
    const { startedAt } = await weir.untilEnded(await submit({}, { runAt }))
    const lateMs = Date.parse(startedAt ?? '') - Date.parse(runAt)
    expect(lateMs).toBeGreaterThanOrEqual(0)
    expect(lateMs).toBeLessThanOrEqual(1_000)
  })

  test('may keep a large input beside the log', async () => {
    const inputs: unknown[] = []
    const reader = jobTypeThat('test.read', async (context) => {
      inputs.push(context.input)
      return stored(context)
    })
    weir.startWorker({ jobTypes: [reader] })
    const input = Buffer.from(JSON.stringify({ text: 'ü'.repeat(10) }))
    await weir.objects.put('inputs/large', input, {
      contentType: 'application/json',
      bytesMax: 1e3,
    })
    const jobId = await weir.submit('test.read', { input: null, inputKey: 'inputs/large' })
    expect((await weir.untilEnded(jobId)).status).toBe('succeeded')
    expect(inputs).toEqual([{ text: 'ü'.repeat(10) }])
  })

  test('tells its progress at most twice a second', async () => {
    const heard: { at: number; progress: unknown }[] = []
    await weir.signals.subscribe('job_progress', ({ progress }) => {
      heard.push({ at: weir.clock.now(), progress })
    })
    weir.startWorker(sandbox)
    await weir.untilEnded(await submit({ steps: 100, stepMs: 50 }))
    const gaps = heard.slice(1).map(({ at }, n) => at - (heard[n]?.at ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(500)
    expect(heard.length).toBeGreaterThan(8)
    const told = heard.map(({ progress }) => Number(progress))
    expect(told).toEqual(told.toSorted((a, b) => a - b))
  })

  test('tells its progress however much others tell of theirs', async () => {
    const heard = new Map<unknown, number>()
    await weir.signals.subscribe('job_progress', ({ jobId }) => {
      heard.set(jobId, (heard.get(jobId) ?? 0) + 1)
    })
    weir.startWorker(sandbox)
    const jobIds = await Promise.all([1, 2, 3].map(() => submit({ steps: 4, stepMs: 1_000 })))
    for (const jobId of jobIds) await weir.untilEnded(jobId)
    expect(jobIds.map((jobId) => (heard.get(jobId) ?? 0) >= 3)).toEqual([true, true, true])
  })
})

describe('an attempt that fails', () => {
  test('is repeated after 1 s × 2ⁿ with jitter; done steps are not run or paid again', async () => {
    weir.startWorker(sandbox)
    const jobId = await submit({ fail: { atStep: 3, times: 3 } })
    const job = await weir.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'succeeded', attempt: 4 })
    expect([...job.steps.values()].map(({ attempt }) => attempt)).toEqual([1, 1, 4])
    expect(called()).toBe(3)
    const waits = weir.log.events
      .filter(({ type }) => type === 'JobRetryScheduled')
      .map(({ data, meta }) => {
        const { runAt } = JSON.parse(data) as { runAt: string }
        return Date.parse(runAt) - Date.parse((JSON.parse(meta) as { at: string }).at)
      })
    expect(waits).toHaveLength(3)
    waits.forEach((waitMs, failures) => {
      expect(waitMs).toBeGreaterThanOrEqual(500 * 2 ** failures)
      expect(waitMs).toBeLessThanOrEqual(1_000 * 2 ** failures)
    })
  })

  test.each<[string, Error]>([
    ['away', new ObjectStoreUnavailable('it does not answer')],
    ['closed to us', new EngineRefusal('the key was changed')],
  ])('while the object store is %s waits for it, and uses up no attempt', async (_, error) => {
    const put = weir.objects.put.bind(weir.objects)
    let isAway = true
    weir.objects.put = (...args) => (isAway ? Promise.reject(error) : put(...args))
    weir.startWorker(sandbox)
    const jobId = await submit({ steps: 1 }, { attemptsMax: 2 })
    await weir.pass(120)
    expect(await weir.job(jobId)).toMatchObject({ status: 'queued', failures: 0 })
    isAway = false
    const job = await weir.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'succeeded', failures: 0 })
    expect(weir.met.length).toBe(job.attempt - 1)
    expect(new Set(weir.met)).toEqual(new Set([error]))
    expect(job.attempt).toBeGreaterThan(5)
    expect(job.attempt).toBeLessThan(12)
    expect(called()).toBe(1)
  })

  test('is the last when the error is not retryable', async () => {
    weir.startWorker(sandbox)
    const fail = { atStep: 2, times: 9, code: 'bad_picture', retryable: false }
    const job = await weir.untilEnded(await submit({ fail }))
    expect(job).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'bad_picture' } })
    expect(called()).toBe(1)
  })

  test('is the last when the job has no attempts left', async () => {
    weir.startWorker(sandbox)
    const fail = { atStep: 1, times: 9 }
    const job = await weir.untilEnded(await submit({ fail }, { attemptsMax: 3 }))
    expect(job).toMatchObject({ status: 'failed', attempt: 3, error: { retryable: true } })
    await weir.pass(2)
    expect(await charged()).toBe(0n)
    expect((await weir.account()).held).toBe(0n)
  })

  test('says nothing of our inside to customers, and the cause to operators', async () => {
    const broken = jobTypeThat('test.break', () => {
      throw new TypeError('password is hunter2')
    })
    weir.startWorker({ jobTypes: [broken] })
    const { error } = await weir.untilEnded(await weir.submit('test.break', { attemptsMax: 1 }))
    const message = 'The job met an unexpected error.'
    expect(error).toEqual({ code: 'internal', message, retryable: true })
    expect(weir.met.map(String)).toEqual(['TypeError: password is hunter2'])
  })

  test('after its call was paid pays it once, when the call has the same number', async () => {
    const flaky = jobTypeThat('test.flaky', async (context) => {
      await context.step('both', async () => {
        await paidCall(context)
        await paidCall(context)
        if (context.attempt < 3) {
          throw new JobError({ code: 'flaky', message: 'Again.', retryable: true })
        }
        return null
      })
      await paidCall(context)
      return stored(context)
    })
    weir.startWorker({ jobTypes: [flaky] })
    await weir.untilEnded(await weir.submit('test.flaky'))
    expect(called()).toBe(3)
    expect(await charged()).toBe(3n * callMicro)
  })

  test('can be tried again by the customer: done steps are kept, the rest runs', async () => {
    weir.startWorker(sandbox)
    const jobId = await submit({ fail: { atStep: 3, times: 1, retryable: false } })
    await weir.untilEnded(jobId)
    await weir.requeue(jobId)
    const job = await weir.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2, requeues: 1 })
    expect([...job.steps.values()].map(({ attempt }) => attempt)).toEqual([1, 1, 2])
    expect(called()).toBe(3)
  })
})

describe('cancel', () => {
  test('ends a queued job at once; no worker ever starts it', async () => {
    const runAt = new Date(weir.clock.now() + 60_000).toISOString()
    const jobId = await submit({}, { runAt })
    await weir.cancel(jobId)
    weir.startWorker(sandbox)
    await weir.pass(90)
    expect(weir.eventsOf(jobId)).toEqual(['JobSubmitted', 'JobCanceled'])
  })

  test('ends a running job within a second, and charges what was called', async () => {
    const { attempts } = weir.startWorker(sandbox)
    const jobId = await submit({ stepMs: 10_000 })
    await weir.pass(15)
    await weir.cancel(jobId)
    await weir.pass(1)
    expect((await weir.job(jobId)).status).toBe('canceled')
    expect(weir.eventsOf(jobId).slice(-2)).toEqual(['JobCancelRequested', 'JobCanceled'])
    expect(await charged()).toBe(callMicro)
    expect((await weir.account()).held).toBe(0n)
    expect(attempts).toMatchObject([{ outcome: 'canceled' }])
  })

  test('is found at the next renewal when its signal was lost', async () => {
    const { life } = weir.startWorker(sandbox)
    life.before = () => null
    const jobId = await submit({ stepMs: 60_000 })
    await weir.pass(1)
    const publish = weir.signals.publish.bind(weir.signals)
    weir.signals.publish = async () => undefined
    await weir.cancel(jobId)
    await weir.pass(leaseMs / 4_000)
    weir.signals.publish = publish
    expect((await weir.job(jobId)).status).toBe('canceled')
  })

  type Work = (context: HandlerContext<unknown>) => Promise<unknown>
  const work: readonly (readonly [what: string, work: Work])[] = [
    ['a step', async (context) => await context.step('late', async () => null)],
    ['a call', paidCall],
    ['a result', stored],
    ['a pause', async (context) => await context.sleep(60_000)],
  ]

  test.each(work)('keeps a handler that does not look from beginning %s', async (_what, begin) => {
    const refused: unknown[] = []
    const deaf = jobTypeThat('test.deaf', async (context) => {
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
      await begin(context).catch((error: unknown) => refused.push(error))
      throw new JobError({ code: 'late', message: 'It is too late.', retryable: true })
    })
    weir.startWorker({ jobTypes: [deaf] })
    const jobId = await weir.submit('test.deaf', { input: {} })
    await weir.pass(1)
    await weir.cancel(jobId)
    await weir.pass(2)
    expect(refused).toEqual([expect.any(AttemptStopped)])
    expect(called()).toBe(0)
    expect(weir.eventsOf(jobId).slice(1)).toEqual([
      ...['JobStarted', 'JobCancelRequested', 'JobCanceled'],
    ])
  })

  test('that comes while the job begins is not lost', async () => {
    const { life } = weir.startWorker(sandbox)
    life.before = (call) => (appends('JobStarted')(call) ? weir.clock.sleep(3_000) : null)
    const jobId = await submit({ stepMs: 60_000 })
    await weir.pass(1)
    weir.bus.send('signal job_cancel', JSON.stringify({ jobIds: [jobId] }))
    await weir.pass(3)
    expect((await weir.job(jobId)).status).toBe('canceled')
  })
})

describe('a deadline', () => {
  test('ends a running job, with what its calls cost', async () => {
    weir.startWorker(sandbox)
    const jobId = await submit({ stepMs: 4_000 }, { deadlineSeconds: 10 })
    const job = await weir.untilEnded(jobId)
    const error = { code: 'deadline_exceeded', retryable: false }
    expect(job).toMatchObject({ status: 'failed', error })
    expect(Date.parse(job.finishedAt ?? '') - Date.parse(job.spec.submittedAt)).toBe(10_000)
    await weir.pass(1)
    expect(await charged()).toBe(2n * callMicro)
    expect((await weir.account()).held).toBe(0n)
  })

  test('ends a job that a retry would carry beyond it', async () => {
    weir.startWorker(sandbox)
    const fail = { atStep: 1, times: 9 }
    const job = await weir.untilEnded(await submit({ fail, stepMs: 0 }, { deadlineSeconds: 4 }))
    expect(job).toMatchObject({ status: 'failed', error: { code: 'deadline_exceeded' } })
  })

  test('expires a job that no worker has started', async () => {
    const jobId = await submit({}, { deadlineSeconds: 10 })
    await weir.pass(12)
    expect(await weir.job(jobId)).toMatchObject({ status: 'expired', attempt: 0 })
    weir.startWorker(sandbox)
    await weir.pass(10)
    expect(weir.eventsOf(jobId)).toEqual(['JobSubmitted', 'JobExpired'])
  })
})

describe('shutdown', () => {
  test('lets attempts end and claims nothing more', async () => {
    const { worker } = weir.startWorker(sandbox)
    const first = await submit({ stepMs: 10_000 })
    await weir.pass(1)
    const progress = { isStopped: false }
    void worker.stop(new AbortController().signal).then(() => (progress.isStopped = true))
    const second = await submit()
    await weir.until('the worker to stop', () => progress.isStopped)
    expect((await weir.job(first)).status).toBe('succeeded')
    expect((await weir.job(second)).status).toBe('queued')
    expect(worker.running).toBe(0)
  })

  test('that must not wait gives attempts back, which counts as no failure', async () => {
    const { worker, attempts } = weir.startWorker(sandbox)
    const jobId = await submit({ stepMs: 10_000 }, { attemptsMax: 1 })
    await weir.pass(11)
    const stopping = new AbortController()
    const stopped = worker.stop(stopping.signal)
    await weir.pass(1)
    stopping.abort()
    await weir.pass(0)
    await stopped
    expect(await weir.job(jobId)).toMatchObject({ status: 'queued', failures: 0, attempt: 1 })
    expect(attempts).toMatchObject([{ outcome: 'queued' }])
    weir.startWorker(sandbox)
    const job = await weir.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2 })
    expect([...job.steps.values()].map(({ attempt }) => attempt)).toEqual([1, 2, 2])
    expect(called()).toBe(3)
  })

  test('also gives back what only begins', async () => {
    const { worker, life } = weir.startWorker(sandbox)
    life.before = (call) => (appends('JobStarted')(call) ? weir.clock.sleep(3_000) : null)
    const jobId = await submit({ stepMs: 60_000 })
    await weir.pass(1)
    const stopped = worker.stop(AbortSignal.abort())
    await weir.pass(3)
    await stopped
    expect(await weir.job(jobId)).toMatchObject({ status: 'queued', attempt: 1 })
  })

  test('waits for a claim that is on its way', async () => {
    const { worker, life } = weir.startWorker(sandbox)
    await weir.pass(0)
    life.before = ({ method }) => (method === 'claim' ? weir.clock.sleep(2_000) : null)
    const jobId = await submit({ stepMs: 500 })
    await weir.pass(1)
    const progress = { isStopped: false }
    void worker.stop(new AbortController().signal).then(() => (progress.isStopped = true))
    await weir.until('the worker to stop', () => progress.isStopped)
    expect((await weir.job(jobId)).status).toBe('succeeded')
  })
})

describe('a worker', () => {
  test('runs at most as many jobs at a time as it was told', async () => {
    const { worker } = weir.startWorker({ ...sandbox, concurrency: 3 })
    for (let n = 0; n < 10; n += 1) await submit({ steps: 1 })
    let most = 0
    await weir.until('all to end', () => {
      most = Math.max(most, worker.running)
      return weir.count('JobSucceeded') === 10
    })
    expect(most).toBe(3)
    // Ten jobs of a second, three at a time: no pause between one and the next.
    expect(weir.clock.now() - Date.UTC(2026, 0, 1)).toBeLessThanOrEqual(4_200)
  })

  test('runs at most as many of a job type as that allows', async () => {
    const running = { count: 0, most: 0 }
    const narrow = jobTypeThat(
      'test.narrow',
      async (context) => {
        running.count += 1
        running.most = Math.max(running.most, running.count)
        await context.sleep(1_000)
        running.count -= 1
        return stored(context)
      },
      2,
    )
    weir.startWorker({ jobTypes: [narrow, sandboxRun] })
    for (let n = 0; n < 6; n += 1) await weir.submit('test.narrow')
    const other = await submit({ steps: 1, stepMs: 100 })
    await weir.pass(0.5)
    expect((await weir.job(other)).status).toBe('succeeded')
    await weir.until('all to end', () => weir.count('JobSucceeded') === 7)
    expect(running.most).toBe(2)
  })

  test('that hears no announcement finds work within a second', async () => {
    weir.startWorker(sandbox)
    await weir.pass(10)
    const send = weir.bus.send.bind(weir.bus)
    weir.bus.send = () => undefined
    const jobId = await submit()
    await weir.pass(1)
    weir.bus.send = send
    expect((await weir.job(jobId)).status).toBe('running')
  })

  test('goes on when a claim fails', async () => {
    const { life } = weir.startWorker(sandbox)
    let failures = 3
    life.before = ({ method }) =>
      method === 'claim' && failures-- > 0 ? Promise.reject(new Error('no connection')) : null
    expect(await weir.untilEnded(await submit())).toMatchObject({ status: 'succeeded' })
    expect(weir.told.map(({ message }) => message)).toEqual(Array(3).fill('claim failed'))
  })
})
