import { untilAborted } from '../../domain/until-aborted.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { TableChange } from '../../domain/ports/read-model-store.ts'
import type { Projection } from '../../projections/projection.ts'
import { projections } from '../../projections/registry.ts'
import { webhookOutboxTable } from '../../projections/webhook-outbox.ts'
import { auditRoots } from '../../workers/audit/root.ts'
import { endpointDisabler } from '../../workers/disable-endpoint.ts'
import { Gathering } from '../../workers/gathering.ts'
import { housekeeping } from '../../workers/housekeeping.ts'
import type { Loop, LoopReport } from '../../workers/loop.ts'
import { projector } from '../../workers/projector.ts'
import { rebuildOutdated } from '../../workers/rebuild.ts'
import { Rescuer } from '../../workers/rescuer.ts'
import { settlement } from '../../workers/settlement.ts'
import { unhandledFeed } from '../../workers/unhandled-feed.ts'
import { WebhookSender } from '../../workers/webhook-sender.ts'
import { webhooksKeptMs } from '../config.ts'
import type { Log } from '../log.ts'
import type { ProjectorMetrics } from '../metrics/projector.ts'
import { tellSockets, tellWorkers } from './page-signals.ts'
import {
  furthestStand,
  openLogCounters,
  openProjectorSeries,
  TimedTransport,
} from './projector-metrics.ts'
import type { RoleParts, RunningRole } from './role.ts'

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
  const counters = openProjectorSeries(metrics.series, profile, readModels)
  const sender = webhookSender(parts, counters)
  await rebuildOutdated({ feed: profile.newFeed(), store, clock, report }, readModels)
  const loops: readonly Loop[] = [
    queueLoop(parts, readModels, report),
    settlement({ feed: profile.newFeed(), store, pipelines, clock, ids, report }),
    new Rescuer({ pipelines, leases, holds, clock, ids, report }).loop(),
    housekeeping({ ...profile, deliveriesKeptMs: webhooksKeptMs(profile.config), report }),
    auditRoots({ ...profile, store, projections: readModels, report }),
    sender,
    ...profile.carriers(),
  ]
  for (const loop of loops) loop.start()
  const wake = (): void => sender.wake()
  const unfollow = await followShares(parts, { readModels, report, wake })
  return {
    stop: async (signal) => {
      const stopped = Promise.all([unfollow(), ...loops.map((loop) => loop.stop(signal))])
      // A call of an engine that says nothing may be under way: whatever it does is safe to repeat.
      await untilAborted(stopped, signal)
    },
  }
}

const needing = (order: Projection['order'], readModels: readonly Projection[]) =>
  readModels.filter((readModel) => readModel.order === order)

/** Workers wait for the queue; the queue does not wait for the books. */
function queueLoop(
  { profile, log }: RoleParts,
  readModels: readonly Projection[],
  report: LoopReport,
): Loop {
  const { clock, readModels: store } = profile
  return projector({
    ...{ store, clock, report, feed: profile.newFeed() },
    projections: needing('log', readModels),
    committed: (events) => {
      tellWorkers(profile, events).catch((error: unknown) => {
        log.warn({ err: error }, 'workers were not told of a page')
      })
    },
  })
}

type Following = {
  readonly readModels: readonly Projection[]
  readonly report: LoopReport
  readonly wake: () => void
}

/** Carries the shares of the log that fall to this process; the returned function ends it. */
async function followShares(
  { profile, log, metrics }: RoleParts,
  { readModels, report, wake }: Following,
): Promise<() => Promise<void>> {
  const { clock, readModels: store, partitions } = profile
  const counters = openLogCounters(metrics.series, profile)
  const shared = needing('org', readModels)
  const shown = (
    share: string,
    events: readonly Recorded[],
    changes: readonly TableChange[],
  ): void => {
    if (changes.some(({ table }) => table === webhookOutboxTable)) wake()
    counters.count(share, events).catch((error: unknown) => {
      log.warn({ err: error }, 'events of a page were not counted')
    })
    tellSockets(profile, events).catch((error: unknown) => {
      log.warn({ err: error }, 'sockets were not told of a page')
    })
  }
  return partitions.follow('read-models', async ({ name: share, feed: whole, signal }) => {
    const feed = await unhandledFeed({ feed: whole, partitions, store, projections: shared })
    // Without it a restart may count a page twice; the read models do not depend on it.
    const from = await furthestStand(profile, shared, share).catch(() => null)
    if (from !== null) counters.begin(share, from)
    const loop = projector({
      ...{ feed, share, store, clock, report, projections: shared },
      gathering: new Gathering(clock),
      committed: (events, changes) => shown(share, events, changes),
    })
    loop.start()
    await aborted(signal)
    await loop.stop(signal)
  })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
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
