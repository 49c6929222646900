import { beforeEach, describe, expect, test } from '@jest/globals'
import { jobStream } from '../../../domain/job/job.ts'
import type { JobCommand } from '../../../domain/job/job.ts'
import { MemoryDeliveryStore } from '../../../infra/memory/delivery-store.ts'
import { MemoryLeaseStore } from '../../../infra/memory/lease-store.ts'
import { MemoryReadModelStore } from '../../../infra/memory/read-model-store.ts'
import { jobQueueTable } from '../../../projections/job-queue.ts'
import { jobStatusTable } from '../../../projections/job-status.ts'
import { adoptLog, isToAdopt } from '../../../workers/adopt-log.ts'
import * as job from '../../support/job-history.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'

// A log with a history, and a database that knows nothing of it.

let weir: MemoryWeir
let store: MemoryReadModelStore
let leases: MemoryLeaseStore
let deliveries: MemoryDeliveryStore

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  store = new MemoryReadModelStore()
  leases = new MemoryLeaseStore(weir.clock, () => store.all(jobQueueTable))
  deliveries = new MemoryDeliveryStore(weir.clock)
})

const adopt = (more: { readonly deliveries?: MemoryDeliveryStore } = {}) =>
  adoptLog({
    ...{ feed: weir.newFeed(), store, projections: weir.projections, queue: jobQueueTable },
    ...{ leases, deliveries, pipelines: weir.pipelines, clock: weir.clock },
    ...more,
  })

const on = (jobId: string, command: JobCommand) =>
  weir.pipelines.jobs.handle(jobStream(jobId), command, weir.context('acme'))

const claim = async () => {
  const claimed = await leases.claim({
    ...{ owner: 'w1', jobTypes: ['sandbox.run'], limit: 10 },
    ...{ now: weir.clock.now() + 86_400_000, leaseMs: 15_000 },
  })
  return claimed.leases
}

/** One job that runs, one that has run and waits, one that nobody has begun. */
async function history() {
  const [running, retried, waiting] = [
    await weir.submit('sandbox.run'),
    await weir.submit('sandbox.run'),
    await weir.submit('sandbox.run'),
  ]
  await on(running, job.start(700))
  await on(retried, job.start(900))
  await on(retried, job.endAttempt(900))
  return { running, retried, waiting }
}

describe('a log that is adopted', () => {
  test('gets the read models that its own weir would have', async () => {
    const { running, retried, waiting } = await history()
    const position = await weir.newFeed().head()
    const events = weir.log.events.length
    expect(await adopt()).toMatchObject({ events, position, running: 1 })
    const rows = store.all(jobStatusTable) as { jobId: string; status: string }[]
    expect(Object.fromEntries(rows.map(({ jobId, status }) => [jobId, status]))).toEqual({
      ...{ [running]: 'running', [retried]: 'queued', [waiting]: 'queued' },
    })
  })

  test('leases jobs beyond every epoch it has, and ends what ran', async () => {
    const { running, retried, waiting } = await history()
    await adopt()
    expect(await leases.expired(10)).toMatchObject([{ jobId: running, epoch: 700 }])
    const claimed = await claim()
    expect(claimed.map(({ jobId }) => jobId).sort()).toEqual([retried, waiting].sort())
    for (const { epoch } of claimed) expect(epoch).toBeGreaterThan(900)
  })

  test('can be gone on with where it was interrupted, and be adopted again', async () => {
    await history()
    const broken = new (class extends MemoryDeliveryStore {
      override parkAll(): Promise<number> {
        return Promise.reject(new Error('killed'))
      }
    })(weir.clock)
    await expect(adopt({ deliveries: broken })).rejects.toThrow('killed')
    expect(await isToAdopt(store, weir.projections)).toBe(true)
    const late = await weir.submit('sandbox.run')
    expect(await adopt()).toMatchObject({ running: 1 })
    expect(await adopt()).toMatchObject({ running: 1 })
    expect((await claim()).map(({ jobId }) => jobId)).toContain(late)
  })

  test('is not that of a weir that has run', async () => {
    const [first] = weir.projections
    const { name, version } = first!
    expect(await isToAdopt(store, weir.projections)).toBe(true)
    const move = { name, version, share: '3', from: null, to: '1' }
    await store.commit([move], [], 'live')
    expect(await isToAdopt(store, weir.projections)).toBe(false)
    await expect(adopt()).rejects.toMatchObject({ code: 'conflict' })
  })
})
