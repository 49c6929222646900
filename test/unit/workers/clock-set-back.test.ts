import { expect, test } from '@jest/globals'
import { accountStream } from '../../../domain/account/account.ts'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemoryHoldWatch } from '../../../infra/memory/hold-watch.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { openProjectorMetrics } from '../../../src/metrics/projector.ts'
import { Series } from '../../../src/metrics/registry.ts'
import { Gathering } from '../../../workers/gathering.ts'
import { ProgressTeller } from '../../../workers/progress.ts'
import { ProviderTurns } from '../../../workers/provider-turns.ts'
import { Rescuer } from '../../../workers/rescuer.ts'
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
