import { expect, test } from '@jest/globals'
import { NO_STREAM } from '../../../domain/ports/event-store.ts'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { SystemIds } from '../../../infra/system/ids.ts'
import { JobChannels } from '../../../src/realtime/job-channels.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { started, submitted } from '../../support/job-history.ts'
import { waitFor } from '../../support/wait-for.ts'

const ids = new SystemIds()

/** Channels over a log in memory that holds the submission of one job. */
async function given() {
  const signals = new MemorySignals(new MemoryBus())
  const store = new MemoryEventStore(new MemoryEventLog())
  const log = { error: () => undefined }
  const config = { publicUrl: 'http://weir.test' }
  const sql = () => Promise.resolve([])
  const runtime = { signals, store, log, config, sql, clock: new SimulatedClock() }
  const channels = new JobChannels(runtime as unknown as Runtime)
  await channels.open()
  const append = async (expected: number, event: ReturnType<typeof submitted>) => {
    const id = ids.next()
    const about = { orgId: 'acme', actor: 'worker', correlationId: id, causationId: id }
    const meta = { ...about, traceparent: null, at: '2026-01-01T00:00:00.000Z', schema: 1 }
    await store.append('job-j1', expected, [{ id, ...event, meta }])
    const revision = expected === NO_STREAM ? 0 : expected + 1
    await signals.publish('job_updates', { jobs: [{ jobId: 'j1', revision }] })
  }
  /** Watches, and collects the revisions that are told. */
  const watch = (after: number) => {
    const heard: number[] = []
    const update = ({ revision }: { revision: number }) => heard.push(revision)
    return { heard, leave: channels.watch('j1', after, { update, progress: () => undefined }) }
  }
  await append(NO_STREAM, submitted())
  return { channels, append, watch }
}

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
