import { expect, test } from '@jest/globals'
import { accountStream } from '../../../domain/account/account.ts'
import { jobStream } from '../../../domain/job/job.ts'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventPublisher, MemoryTopic } from '../../../infra/memory/event-publisher.ts'
import { MemoryHoldWatch } from '../../../infra/memory/hold-watch.ts'
import { MemoryRelayCheckpoint } from '../../../infra/memory/relay-checkpoint.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { usage } from '../../../projections/usage.ts'
import { openProjectorMetrics } from '../../../src/metrics/projector.ts'
import { Series } from '../../../src/metrics/registry.ts'
import { Gathering } from '../../../workers/gathering.ts'
import { ProgressTeller } from '../../../workers/progress.ts'
import { ProviderTurns } from '../../../workers/provider-turns.ts'
import { projector } from '../../../workers/projector.ts'
import { Relay } from '../../../workers/relay.ts'
import { Rescuer } from '../../../workers/rescuer.ts'
import { settlement } from '../../../workers/settlement.ts'
import * as job from '../../support/job-history.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'
import { AdjustedClock } from '../../support/adjusted-clock.ts'

const hourMs = 3_600_000

test.each([0, 100])(
  'read models go on though the clock was set back after %i events',
  async (n) => {
    const clock = new AdjustedClock()
    const gathering = new Gathering(clock)
    const startedAt = clock.now()
    gathering.count(n)
    clock.setBack(hourMs)
    const rest = gathering.rest(new AbortController().signal)
    expect((clock.nextWakeMs() ?? startedAt) - startedAt).toBeLessThanOrEqual(15)
    await clock.advance(15)
    await rest
    gathering.count(1)
    await clock.advance(1_000)
    void gathering.rest(new AbortController().signal)
    expect(clock.nextWakeMs()).toBeNull()
  },
)

test('progress is told though the clock was set back', async () => {
  const clock = new AdjustedClock()
  const signals = new MemorySignals(new MemoryBus())
  const heard: unknown[] = []
  await signals.subscribe('job_progress', ({ progress }) => void heard.push(progress))
  const teller = new ProgressTeller(signals, clock)
  const job = { jobId: 'j', orgId: 'o', message: null }
  teller.tell({ ...job, progress: 1 })
  clock.setBack(hourMs)
  teller.tell({ ...job, progress: 2 })
  teller.tell({ ...job, progress: 3 })
  await clock.advance(500)
  teller.tell({ ...job, progress: 4 })
  await clock.advance(0)
  expect(heard).toEqual([1, 2, 4])
})

test('stranded holds are looked for though the clock was set back', async () => {
  const { pipelines, leases, ids, report } = new MemoryWeir()
  const clock = new AdjustedClock()
  let looks = 0
  const none = () => []
  const watched = () => {
    looks += 1
    return []
  }
  const holds = new MemoryHoldWatch({ holds: watched, queue: none, grants: none, balances: none })
  const rescuer = new Rescuer({ pipelines, leases, holds, clock, ids, report })
  await rescuer.turn()
  await rescuer.turn()
  expect(looks).toBe(1)
  clock.setBack(hourMs)
  await rescuer.turn()
  await rescuer.turn()
  expect(looks).toBe(2)
})

test('gauges are asked for anew though the clock was set back', async () => {
  const clock = new AdjustedClock()
  const series = new Series()
  let looks = 0
  openProjectorMetrics(series, {
    ...{ jobTypes: [], consumers: [], readCarriage: null, now: () => clock.now() },
    readStand: async () => {
      looks += 1
      return { queue: [], holds: { count: 0, oldestMs: 0 }, driftMicro: 0, consumers: [] }
    },
  })
  await series.text()
  await series.text()
  expect(looks).toBe(1)
  clock.setBack(hourMs)
  await series.text()
  expect(looks).toBe(2)
})

test('limits of a provider are looked at anew though the clock was set back', async () => {
  const { pipelines, limits, ids } = await new MemoryWeir().open()
  const clock = new AdjustedClock()
  const turns = new ProviderTurns({ pipelines, limits, clock, ids })
  const { signal } = new AbortController()
  await turns.wait('acme', 'sandbox', signal)
  const at = new Date(clock.now()).toISOString()
  const one = { scope: 'provider' as const, key: 'sandbox', kind: 'requests' as const }
  const limit = { ...one, window: 'day' as const, unit: null, max: 1, until: null }
  const command = { type: 'SetLimits' as const, limits: [limit], reason: '', at }
  const context = { commandId: ids.next(), orgId: 'acme', actor: 'a', correlationId: 'c' }
  await pipelines.accounts.handle(accountStream('acme'), command, { ...context, traceparent: null })
  clock.setBack(hourMs)
  await turns.wait('acme', 'sandbox', signal)
  await expect(turns.wait('acme', 'sandbox', signal)).rejects.toThrow('no room yet')
})

test('a hold that its worker left is settled though the clock was set back', async () => {
  const weir = await new MemoryWeir().open()
  const { pipelines, readModels: store, log, ids, report } = weir
  const clock = new AdjustedClock()
  const loop = settlement({
    ...{ feed: new MemoryEventFeed(log, clock), store, pipelines, clock, ids, report },
  })
  loop.start()
  await clock.advance(2_000)
  const jobId = await weir.submit('sandbox.run')
  for (const command of [job.start(1), job.succeed(1)]) {
    await pipelines.jobs.handle(jobStream(jobId), command, weir.context('acme', 'worker'))
  }
  await clock.advance(0)
  expect((await weir.account()).held).toBeGreaterThan(0n)
  clock.setBack(hourMs)
  await clock.advance(3_000)
  expect((await weir.account()).held).toBe(0n)
  expect(await store.checkpoint('settlement', 1, 'live')).toBe(String(log.events.length))
  const stopped = loop.stop(AbortSignal.abort())
  await clock.advance(1_000)
  await stopped
})

test('a read model that passed over events says so though the clock was set back', async () => {
  const { readModels: store, log, report } = await new MemoryWeir().open()
  const clock = new AdjustedClock()
  const loop = projector({
    ...{ feed: new MemoryEventFeed(log, clock), store, projections: [usage], clock, report },
    committed: () => undefined,
  })
  loop.start()
  await clock.advance(0)
  clock.setBack(hourMs)
  await clock.advance(1_000)
  const { name, version } = usage
  expect(await store.checkpoint(name, version, 'live')).toBe(String(log.events.length))
  const stopped = loop.stop(AbortSignal.abort())
  await clock.advance(1_000)
  await stopped
})

test('a relay keeps its lease though its clock was set back', async () => {
  const { log, report } = await new MemoryWeir().open()
  const clock = new AdjustedClock()
  const storeClock = new SimulatedClock()
  const checkpoint = new MemoryRelayCheckpoint(storeClock)
  const publisher = new MemoryEventPublisher(new MemoryTopic())
  const feed = new MemoryEventFeed(log, clock)
  const loop = new Relay({ feed, publisher, checkpoint, clock, owner: 'a', report }).loop()
  loop.start()
  await clock.advance(1_000)
  clock.setBack(hourMs)
  for (let s = 0; s < 30; s += 1) {
    await Promise.all([clock.advance(1_000), storeClock.advance(1_000)])
  }
  expect(await checkpoint.acquire({ owner: 'b', leaseMs: 1_000 })).toBeNull()
  const stopped = loop.stop(AbortSignal.abort())
  await clock.advance(1_000)
  await stopped
})
