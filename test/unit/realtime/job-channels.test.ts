import { expect, test } from '@jest/globals'
import type { RecordedEvent } from '../../../domain/envelope.ts'
import { NO_STREAM } from '../../../domain/ports/event-store.ts'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { SystemIds } from '../../../infra/system/ids.ts'
import { JobChannels } from '../../../src/realtime/job-channels.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { started, submitted, succeeded } from '../../support/job-history.ts'
import { waitFor } from '../../support/wait-for.ts'

const ids = new SystemIds()

/** A store whose reads can be held up; of what it was told by itself it may know less. */
class Store extends MemoryEventStore {
  readonly log: MemoryEventLog
  heard: readonly RecordedEvent[] | null = null
  gate: Promise<void> | null = null

  constructor(log: MemoryEventLog) {
    super(log)
    this.log = log
  }

  override recent(_stream: string, from: number): readonly RecordedEvent[] | null {
    return this.heard && this.heard.slice(from)
  }

  override async read(stream: string, from: number): Promise<readonly RecordedEvent[]> {
    const events = await super.read(stream, from)
    await this.gate
    return events
  }

  /** Holds up what is read from now on. Returns how to let it go. */
  close(): () => void {
    let open = (): void => undefined
    this.gate = new Promise((resolve) => (open = resolve))
    return () => {
      this.gate = null
      open()
    }
  }
}

/** Channels over a log in memory that holds the submission of one job. */
async function given() {
  const signals = new MemorySignals(new MemoryBus())
  const store = new Store(new MemoryEventLog())
  const log = { error: () => undefined }
  const config = { publicUrl: 'http://weir.test' }
  /** What the read model knows of jobs. */
  const statuses: { jobId: string; revision: number }[] = []
  const sql = (name: string) => Promise.resolve(name === 'revisions-of-jobs' ? statuses : [])
  const clock = new SimulatedClock()
  const runtime = { signals, store, log, config, sql, clock }
  const channels = new JobChannels(runtime as unknown as Runtime)
  await channels.open()
  const write = async (expected: number, event: ReturnType<typeof submitted>) => {
    const id = ids.next()
    const about = { orgId: 'acme', actor: 'worker', correlationId: id, causationId: id }
    const meta = { ...about, traceparent: null, at: '2026-01-01T00:00:00.000Z', schema: 1 }
    await store.append('job-j1', expected, [{ id, ...event, meta }])
  }
  const signal = async (revision: number) => {
    await signals.publish('job_updates', { jobs: [{ jobId: 'j1', revision }] })
    await clock.advance(0)
  }
  const append = async (expected: number, event: ReturnType<typeof submitted>) => {
    await write(expected, event)
    await signal(expected === NO_STREAM ? 0 : expected + 1)
  }
  /** Watches, and collects the revisions and the progress that are told. */
  const watch = (after: number, jobId = 'j1') => {
    const [heard, progressed]: [number[], number[]] = [[], []]
    const update = ({ revision }: { revision: number }) => heard.push(revision)
    const progress = (told: { progress: number }) => progressed.push(told.progress)
    return { heard, progressed, leave: channels.watch(jobId, after, { update, progress }) }
  }
  await append(NO_STREAM, submitted())
  return { channels, append, watch, write, signal, signals, store, clock, statuses }
}

/** Lets everything go on that waits for nothing but its turn. */
async function settle(clock: SimulatedClock): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await clock.advance(0)
}

test('who comes later hears its past, and nobody hears anything twice', async () => {
  const { channels, append, watch, signal, clock } = await given()
  const first = watch(-1)
  await append(0, started(1))
  await settle(clock)
  const [late, middle] = [watch(-1), watch(0)]
  await settle(clock)
  await append(1, succeeded)
  await signal(1)
  await signal(2)
  await settle(clock)
  await channels.close()
  expect([first.heard, late.heard, middle.heard]).toEqual([
    [0, 1, 2],
    [0, 1, 2],
    [1, 2],
  ])
})

test('who comes while the stream is being read hears all of its past', async () => {
  const { channels, append, watch, store, clock } = await given()
  const first = watch(-1)
  await settle(clock)
  const open = store.close()
  await append(0, started(1))
  await settle(clock)
  const late = watch(-1)
  open()
  await settle(clock)
  await channels.close()
  expect([first.heard, late.heard]).toEqual([
    [0, 1],
    [0, 1],
  ])
})

test('what this process has heard of by itself is not taken for all there is', async () => {
  const { channels, watch, write, signal, store, clock } = await given()
  const first = watch(-1)
  await settle(clock)
  await write(0, started(1))
  store.heard = await store.read('job-j1', 0)
  await write(1, succeeded)
  const late = watch(-1)
  await settle(clock)
  expect(late.heard).toEqual([0, 1, 2])
  expect(first.heard).toEqual([0, 1, 2])
  await signal(2)
  await settle(clock)
  await channels.close()
  expect(first.heard).toEqual([0, 1, 2])
})

test('a signal that was overtaken does not hide the later one', async () => {
  const { channels, watch, write, signal, store, clock } = await given()
  const { heard } = watch(-1)
  await settle(clock)
  const open = store.close()
  await write(0, started(1))
  await signal(1)
  await settle(clock)
  store.heard = await new MemoryEventStore(store.log).read('job-j1', 0)
  await write(1, succeeded)
  for (const revision of [2, 1]) await signal(revision)
  open()
  await settle(clock)
  await channels.close()
  expect(heard).toEqual([0, 1, 2])
})

test('a transition whose signal was lost is told within five seconds', async () => {
  const { channels, watch, write, clock, statuses } = await given()
  const { heard } = watch(0)
  await settle(clock)
  await write(0, started(1))
  statuses.push({ jobId: 'j1', revision: 1 })
  await clock.advance(5_000)
  await settle(clock)
  await channels.close()
  expect(heard).toEqual([1])
})

test('progress is told to those who watch its job', async () => {
  const { channels, watch, signals, clock } = await given()
  const [other, own] = [watch(-1, 'j2'), watch(-1)]
  await signals.publish('job_progress', { jobId: 'j1', progress: 40 })
  await settle(clock)
  await channels.close()
  expect([other.progressed, own.progressed]).toEqual([[], [40]])
})

test('who waits for the end of a job waits no longer, and leaves nothing behind', async () => {
  const { channels, append, clock } = await given()
  let isOver = false
  void channels.untilFinished('j1', 60_000).then(() => (isOver = true))
  await append(0, started(1))
  await settle(clock)
  expect([isOver, channels.size]).toEqual([false, 1])
  await append(1, succeeded)
  await settle(clock)
  await channels.close()
  expect([isOver, channels.size]).toEqual([true, 0])
})

test('who leaves while waiting for the end of a job is watched for no longer', async () => {
  const { channels } = await given()
  const gone = new AbortController()
  const waiting = channels.untilFinished('j1', 60_000, gone.signal)
  expect(channels.size).toBe(1)
  gone.abort()
  await waiting
  await channels.untilFinished('j1', 60_000, gone.signal)
  expect(channels.size).toBe(0)
  await channels.close()
})

test('who waits for the end of a job is let go when the process stops', async () => {
  const { channels } = await given()
  const waiting = channels.untilFinished('j1', 60_000)
  await channels.close()
  await waiting
  await channels.untilFinished('j1', 60_000)
  expect(channels.size).toBe(0)
})

test('who leaves twice takes the channel from nobody who has come since', async () => {
  const { channels, append, watch } = await given()
  const gone = watch(0)
  gone.leave()
  const { heard } = watch(0)
  gone.leave()
  await append(0, started(1))
  await waitFor('the next revision', () => heard.length > 0)
  await channels.close()
  expect(heard).toEqual([1])
})
