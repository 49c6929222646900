import { expect, test } from '@jest/globals'
import { NO_STREAM } from '../../../domain/ports/event-store.ts'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { SystemIds } from '../../../infra/system/ids.ts'
import { OrgChannels } from '../../../src/realtime/org-channels.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { failed, requeued, started, submitted, succeeded } from '../../support/job-history.ts'
import { waitFor } from '../../support/wait-for.ts'

const ids = new SystemIds()

/** Channels over a log in memory; the reads that are asked for are counted and may fail. */
async function given() {
  const signals = new MemorySignals(new MemoryBus())
  class Store extends MemoryEventStore {
    readsFrom: number[] = []
    isDown = false
    /** What is read is held up until then. */
    gate: Promise<void> | null = null
    override async read(stream: string, fromRevision: number) {
      if (this.isDown) throw new Error('the store is away')
      this.readsFrom.push(fromRevision)
      const events = await super.read(stream, fromRevision)
      await this.gate
      return events
    }
  }
  const store = new Store(new MemoryEventLog())
  const log = { error: () => undefined }
  const config = { publicUrl: 'http://weir.test' }
  const clock = new SimulatedClock()
  /** What the read model knows of each job. */
  const statuses: { jobId: string; orgId: string; revision: number }[] = []
  /** The same of those that are asked for by name. */
  const moved: { jobId: string; revision: number }[] = []
  const sql = async (name: string) => {
    if (name === 'revisions-of-jobs') return moved
    return name === 'revisions-since' ? statuses : []
  }
  const runtime = { signals, store, log, config, sql, clock }
  const channels = new OrgChannels(runtime as unknown as Runtime)
  await channels.open()
  const heard: number[] = []
  channels.watch('acme', ({ revision }) => heard.push(revision))
  /** Watches another org, and collects what that one hears. */
  const watch = (orgId: string): readonly number[] => {
    const others: number[] = []
    channels.watch(orgId, ({ revision }) => others.push(revision))
    return others
  }
  const append = (expected: number, event: ReturnType<typeof submitted>, jobId = 'j1') => {
    const id = ids.next()
    const about = { orgId: 'acme', actor: 'worker', correlationId: id, causationId: id }
    const meta = { ...about, traceparent: null, at: '2026-01-01T00:00:00.000Z', schema: 1 }
    return store.append(`job-${jobId}`, expected, [{ id, ...event, meta }])
  }
  const signal = (from: number, revision: number, orgId = 'acme', jobId = 'j1') =>
    signals.publish('job_updates', { jobs: [{ jobId, orgId, from, revision }] })
  const until = (revisions: readonly number[]) =>
    waitFor('the org to hear', () => heard.length >= revisions.length)
  return { channels, store, heard, append, signal, until, clock, statuses, moved, watch }
}

test('an org hears each revision once, and none is read twice', async () => {
  const { channels, store, heard, append, signal, until } = await given()
  await append(NO_STREAM, submitted())
  await signal(0, 0)
  await until([0])
  await append(0, started(1))
  await append(1, succeeded)
  await Promise.all([signal(1, 1), signal(2, 2), signal(0, 0)])
  await until([0, 1, 2])
  await signal(2, 2)
  await channels.close()
  expect(heard).toEqual([0, 1, 2])
  expect(store.readsFrom).toEqual([0, 1])
})

test('an org hears of its own jobs only', async () => {
  const { channels, heard, append, signal, clock, watch } = await given()
  const other = watch('globex')
  await append(NO_STREAM, submitted(), 'j7')
  await signal(0, 0, 'globex', 'j7')
  await waitFor('the other org to hear', () => other.length > 0)
  await clock.advance(6_000)
  await channels.close()
  expect([heard, other]).toEqual([[], [0]])
})

test('what is signalled while a job is being read is told too', async () => {
  const { channels, store, heard, append, signal, until, clock } = await given()
  await append(NO_STREAM, submitted())
  let open = (): void => undefined
  store.gate = new Promise((resolve) => (open = resolve))
  await signal(0, 0)
  await clock.advance(0)
  await append(0, started(1))
  await signal(1, 1)
  await clock.advance(0)
  store.gate = null
  open()
  await until([0, 1])
  await channels.close()
  expect(heard).toEqual([0, 1])
})

test('a job that ended and is queued again tells what is new, not its past', async () => {
  const { channels, heard, append, signal, until } = await given()
  await append(NO_STREAM, submitted())
  await append(0, started(1))
  await append(1, failed(1))
  await signal(0, 2)
  await until([0, 1, 2])
  await append(2, requeued(1))
  await signal(3, 3)
  await until([0, 1, 2, 3])
  await channels.close()
  expect(heard).toEqual([0, 1, 2, 3])
})

test('what could not be read is read again, and told without another signal', async () => {
  const { channels, store, heard, append, signal, until, clock } = await given()
  await append(NO_STREAM, submitted())
  store.isDown = true
  await signal(0, 0)
  await clock.advance(0)
  store.isDown = false
  await clock.advance(1_000)
  await until([0])
  await channels.close()
  expect(heard).toEqual([0])
})

test('the first thing heard of a new job brings what a lost signal has not told', async () => {
  const { channels, heard, append, signal, until } = await given()
  await append(NO_STREAM, submitted())
  await append(0, started(1))
  await append(1, succeeded)
  await signal(2, 2)
  await until([0, 1, 2])
  await channels.close()
  expect(heard).toEqual([0, 1, 2])
})

test('what happened long ago is not told of a job that was not heard of before', async () => {
  const { channels, heard, append, signal, until, clock } = await given()
  await clock.advance(60_000)
  await append(NO_STREAM, submitted())
  await append(0, started(1))
  await append(1, succeeded)
  await signal(2, 2)
  await until([2])
  await channels.close()
  expect(heard).toEqual([2])
})

test('a transition whose signal was lost is told all the same, once', async () => {
  const { channels, heard, append, signal, until, clock, statuses } = await given()
  await append(NO_STREAM, submitted())
  await signal(0, 0)
  await until([0])
  await append(0, started(1))
  await append(1, succeeded)
  statuses.push({ jobId: 'j1', orgId: 'acme', revision: 2 })
  await clock.advance(5_000)
  await until([0, 1, 2])
  await clock.advance(15_000)
  await channels.close()
  expect(heard).toEqual([0, 1, 2])
})

test('a job that runs for long is asked for too: its signal may be lost as well', async () => {
  const { channels, heard, append, signal, until, clock, moved } = await given()
  await append(NO_STREAM, submitted())
  await signal(0, 0)
  await until([0])
  await clock.advance(60_000)
  await append(0, started(1))
  moved.push({ jobId: 'j1', revision: 1 })
  await clock.advance(5_000)
  await until([0, 1])
  await clock.advance(15_000)
  await channels.close()
  expect(heard).toEqual([0, 1])
})
