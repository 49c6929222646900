import type { Recorded } from '../../domain/catalog.ts'
import { projections } from '../../projections/registry.ts'
import { CachedRows } from '../../workers/cached-rows.ts'
import { endpointDisabler } from '../../workers/disable-endpoint.ts'
import type { Loop, LoopReport } from '../../workers/loop.ts'
import { projector } from '../../workers/projector.ts'
import { rebuildOutdated } from '../../workers/rebuild.ts'
import { repeat } from '../../workers/repeat.ts'
import { Rescuer } from '../../workers/rescuer.ts'
import { settlement } from '../../workers/settlement.ts'
import { WebhookSender } from '../../workers/webhook-sender.ts'
import type { Log } from '../log.ts'
import type { Profile } from '../profiles/profile.ts'
import type { ProjectorMetrics } from '../metrics/projector.ts'
import { tellPage } from './page-signals.ts'
import { openLogCounters, openProjectorSeries, TimedTransport } from './projector-metrics.ts'
import type { RoleParts, RunningRole } from './role.ts'

const housekeepingMs = 3_600_000
const idempotencyKeptMs = 24 * 3_600_000

/** Carries the log into read models and reacts to it: settlement, webhooks, rescue. */
export async function startProjector(parts: RoleParts): Promise<RunningRole> {
  const { profile, log, metrics } = parts
  const { clock, ids, pipelines, readModels: store, leases, holds } = profile
  const report: LoopReport = (level, fields, message) => log[level](fields, message)
  const readModels = projections({
    publicUrl: profile.config.publicUrl,
    alarm: ({ projection, stream, seen, got }) => {
      counters.hole()
      log.error({ projection, stream, seen, got }, 'a read model has missed an event')
    },
  })
  const names = readModels.map(({ name }) => name)
  const counters = openProjectorSeries(metrics.series, profile, names)
  const countEvents = await openLogCounters(metrics.series, profile, readModels)
  const sender = webhookSender(parts, counters)
  const committed = (events: readonly Recorded[]): void => {
    sender.wake()
    countEvents(events).catch((error: unknown) => {
      log.warn({ err: error }, 'events of a page were not counted')
    })
    tellPage(profile, events).catch((error: unknown) => {
      log.warn({ err: error }, 'signals of a page were not sent')
    })
  }
  await rebuildOutdated({ feed: profile.newFeed(), store, report }, readModels)
  const feed = profile.newFeed()
  const loops: readonly Loop[] = [
    projector({
      feed,
      store: new CachedRows(store),
      projections: readModels,
      clock,
      report,
      committed,
    }),
    settlement({ feed: profile.newFeed(), store, pipelines, clock, ids, report }),
    new Rescuer({ pipelines, leases, holds, clock, ids, report }).loop(),
    housekeeping(profile, report),
    sender,
  ]
  for (const loop of loops) loop.start()
  return {
    stop: async (signal) => {
      await Promise.all(loops.map((loop) => loop.stop(signal)))
    },
  }
}

function webhookSender({ profile, log }: RoleParts, counters: ProjectorMetrics): WebhookSender {
  const { deliveries: store, clock, ids } = profile
  const transport = new TimedTransport(profile.transport, () => clock.now(), counters.arrived)
  return new WebhookSender({
    ...{ store, transport, clock, ids, disable: endpointDisabler(profile) },
    report: (sent) => {
      if (sent.type === 'attempt') counters.delivered(sent.outcome)
      logDelivery(log, sent)
    },
  })
}

type Sent = Parameters<ConstructorParameters<typeof WebhookSender>[0]['report']>[0]

function logDelivery(log: Log, sent: Sent): void {
  switch (sent.type) {
    case 'attempt':
      return log.info(sent, 'webhook attempt')
    case 'claim_lost':
      return log.warn(sent, 'webhook claim lost')
    case 'store_failed':
      return log.error({ err: sent.error }, 'webhook store failed')
    case 'transport_failed':
      return log.error({ err: sent.error, deliveryId: sent.deliveryId }, 'webhook failed')
  }
}

/** Forgets what is no longer needed. */
function housekeeping({ clock, idempotency, sweepObjects }: Profile, report: LoopReport): Loop {
  return repeat({
    ...{ name: 'housekeeping', clock, report },
    turn: async () => {
      await idempotency.forget(clock.now() - idempotencyKeptMs)
      await sweepObjects()
      return 'idle'
    },
    idle: (signal) => clock.sleep(housekeepingMs, signal),
  })
}
