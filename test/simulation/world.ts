import { accountDecider } from '../../domain/account/account.ts'
import { accountAggregate, jobAggregate, openPipelines } from '../../domain/aggregates.ts'
import type { Pipelines } from '../../domain/aggregates.ts'
import type { Recorded } from '../../domain/catalog.ts'
import { jobDecider } from '../../domain/job/job.ts'
import { CommandPipeline } from '../../domain/pipeline/command-pipeline.ts'
import { Pacer } from '../../domain/pipeline/pacer.ts'
import type { IdempotencyStore } from '../../domain/ports/idempotency-store.ts'
import { MemoryAnnouncements } from '../../infra/memory/announcements.ts'
import { MemoryAnnouncer } from '../../infra/memory/announcer.ts'
import { MemoryDeliveryStore } from '../../infra/memory/delivery-store.ts'
import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { MemoryHoldWatch } from '../../infra/memory/hold-watch.ts'
import { MemoryIdempotencyStore } from '../../infra/memory/idempotency-store.ts'
import { MemoryLeaseStore } from '../../infra/memory/lease-store.ts'
import { MemoryLimitStore } from '../../infra/memory/limit-store.ts'
import { MemoryObjectStore } from '../../infra/memory/object-store.ts'
import { MemorySignals } from '../../infra/memory/signals.ts'
import { MemorySnapshotStore } from '../../infra/memory/snapshot-store.ts'
import { MemoryWebhookTransport } from '../../infra/memory/webhook-transport.ts'
import { SimulatedIds } from '../../infra/simulated/ids.ts'
import {
  accountBalanceTable,
  creditGrantTable,
  creditHoldTable,
} from '../../projections/balance.ts'
import type { HoleAlarm } from '../../projections/hole-alarm.ts'
import { jobQueueTable } from '../../projections/job-queue.ts'
import { projections } from '../../projections/registry.ts'
import type { Projection } from '../../projections/projection.ts'
import { tellSockets, tellWorkers } from '../../src/roles/page-signals.ts'
import { SharedFeed } from '../../workers/shared-feed.ts'
import { endpointDisabler } from '../../workers/disable-endpoint.ts'
import type { Violation } from '../../workers/invariants/violation.ts'
import { JobWorker } from '../../workers/job-worker.ts'
import { ProgressTeller } from '../../workers/progress.ts'
import { projector } from '../../workers/projector.ts'
import { ProviderTurns } from '../../workers/provider-turns.ts'
import { Rescuer } from '../../workers/rescuer.ts'
import { settlement } from '../../workers/settlement.ts'
import { UsageMeter } from '../../workers/usage-meter.ts'
import { WebhookSender } from '../../workers/webhook-sender.ts'
import { Faults } from './faults.ts'
import { simulatedJobType, simulatedType } from './job-types.ts'
import type { Mutation } from './mutation.ts'
import { SimulatedProcess } from './process.ts'
import { SimulatedProvider } from './provider.ts'
import type { Random } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { HeardStore, LossyBus, OutboxRows } from './stores.ts'
import { Watch } from './watch.ts'

export const leaseMs = 15_000
const restartMsMax = 8_000

export type Role = 'api' | 'worker' | 'projector'

/** What clients talk to. */
export type Api = {
  readonly process: SimulatedProcess
  readonly pipelines: Pipelines
  readonly idempotency: IdempotencyStore
}

type Running = { readonly role: Role; readonly process: SimulatedProcess }

const quiet = (): void => undefined

/** Stores that stay, and processes that come and go. */
export class World {
  readonly random: Random
  readonly scheduler: Scheduler
  readonly faults: Faults
  readonly violations: Violation[] = []
  /** What happened before the first violation. */
  trail: readonly string[] = []
  readonly provider = new SimulatedProvider()
  readonly log = new MemoryEventLog()
  readonly deliveries: MemoryDeliveryStore
  readonly rows: OutboxRows
  readonly running = new Map<string, Running>()
  readonly apis = new Map<string, Api>()
  readonly objects: MemoryObjectStore
  readonly watch: Watch
  readonly transport: MemoryWebhookTransport
  /** Deliveries that a receiver has taken: to others it said that it could not. */
  readonly taken = new Set<string>()
  readonly ids
  readonly #mutation: Mutation
  readonly #store
  readonly #leases
  readonly #bus
  readonly #idempotency
  readonly #limits = new MemoryLimitStore()
  readonly #snapshots = new MemorySnapshotStore()
  readonly #holds = new MemoryHoldWatch({
    holds: () => this.rows.all(creditHoldTable),
    queue: () => this.rows.all(jobQueueTable),
    grants: () => this.rows.all(creditGrantTable),
    balances: () => this.rows.all(accountBalanceTable),
  })
  #started = 0

  constructor(random: Random, mutation: Mutation) {
    this.random = random
    this.#mutation = mutation
    this.scheduler = new Scheduler(random)
    this.faults = new Faults(random)
    this.deliveries = new MemoryDeliveryStore(this.scheduler)
    this.rows = new OutboxRows(this.deliveries)
    const ids = new SimulatedIds(random.between(0, 2 ** 31), this.scheduler)
    this.ids = mutation.ids?.(ids) ?? ids
    const store = new MemoryEventStore(this.log)
    this.#store = mutation.events?.(store, this.log) ?? store
    const leases = new MemoryLeaseStore(this.scheduler, () => this.rows.all(jobQueueTable))
    this.#leases = mutation.leases?.(leases) ?? leases
    const idempotency = new MemoryIdempotencyStore(this.scheduler)
    this.#idempotency = mutation.idempotency?.(idempotency) ?? idempotency
    this.#bus = new LossyBus(this.scheduler, this.faults)
    const secretKey = Buffer.alloc(32, 1)
    const clock = this.scheduler
    this.objects = new MemoryObjectStore({ baseUrl: 'http://weir.test', secretKey, clock })
    this.transport = new MemoryWebhookTransport(({ delivery }) => {
      const httpStatus = this.faults.receiverAnswer()
      if (httpStatus < 300) this.taken.add(delivery.deliveryId)
      return { kind: 'answered', httpStatus, retryAfter: null }
    })
    this.watch = new Watch(this.log, this.provider.delivered, this.found)
  }

  readonly found = (invariant: string, subject: string, detail: string): void => {
    this.scheduler.trace(`VIOLATION ${invariant} ${subject} ${detail}`)
    if (this.violations.length === 0) this.trail = [...this.scheduler.lastLines()]
    this.violations.push({ invariant, subject, detail })
  }

  readonly alarm: HoleAlarm = ({ projection, stream, seen, got }) => {
    this.found('I6', stream, `${projection} saw ${got} after ${seen}`)
  }

  newFeed(): MemoryEventFeed {
    return new MemoryEventFeed(this.log, this.scheduler)
  }

  projections() {
    return projections({ alarm: this.alarm, publicUrl: 'http://weir.test' })
  }

  start(name: string, role: Role): void {
    this.#started += 1
    const process = new SimulatedProcess(`${name}#${this.#started}`, this.scheduler, this.faults)
    this.scheduler.trace(`${process.name} starts`)
    this.running.set(name, { role, process })
    if (role === 'api') this.#startApi(name, process)
    else if (role === 'worker') this.#startWorker(process)
    else this.#startProjector(process)
  }

  /** Ends a process; another one takes its place after a while. */
  crash(name: string): void {
    const running = this.running.get(name)
    if (!running) return
    this.running.delete(name)
    this.apis.delete(name)
    running.process.kill()
    const restartMs = this.random.between(0, restartMsMax)
    this.scheduler.after(restartMs, `${name} restarts`, () => this.start(name, running.role))
  }

  #startApi(name: string, process: SimulatedProcess): void {
    const idempotency = process.port('idempotency', this.#idempotency)
    this.apis.set(name, { process, pipelines: this.pipelinesOf(process), idempotency })
  }

  #startWorker(process: SimulatedProcess): void {
    const { clock } = process
    const { ids } = this
    const pipelines = this.pipelinesOf(process)
    const signals = process.port('signals', new MemorySignals(this.#bus))
    const provider = process.port('provider', this.provider)
    const worker = new JobWorker({
      ...{ pipelines, clock, ids, signals, leaseMs, concurrency: 4, workerId: ids.next() },
      objects: process.port('objects', this.objects),
      leases: process.port('leases', this.#leases),
      announcements: process.port('announcements', new MemoryAnnouncements(this.#bus)),
      jobTypes: new Map([[simulatedType, simulatedJobType(provider)]]),
      turns: new ProviderTurns({
        pipelines,
        clock,
        ids,
        limits: process.port('limits', this.#limits),
      }),
      meter: new UsageMeter({ pipelines, clock, unpriced: quiet }),
      download: () => Promise.reject(new Error('there is no network')),
      progress: new ProgressTeller(signals, clock),
      observer: { called: quiet },
      report: quiet,
      attempted: quiet,
    })
    worker.start()
  }

  #startProjector(process: SimulatedProcess): void {
    const { clock } = process
    const { ids } = this
    const pipelines = this.pipelinesOf(process)
    const announcer = process.port('announcer', new MemoryAnnouncer(this.#bus))
    const signals = process.port('signals', new MemorySignals(this.#bus))
    const sender = this.#sender(process, pipelines)
    const store = process.port('rows', this.rows)
    const written = process.port('rows', this.#mutation.rows?.(this.rows) ?? this.rows)
    const shared = new SharedFeed(() => process.port('feed', this.newFeed()), clock)
    const settled = shared.reader()
    const project = (
      order: Projection['order'],
      committed: (events: readonly Recorded[]) => void,
    ) =>
      projector({
        ...{ clock, report: quiet, committed, feed: shared.reader() },
        projections: this.projections().filter((readModel) => readModel.order === order),
        store: written,
        // Pages that are full are written while the next one is applied.
        pageEvents: this.#started % 2 === 0 ? 3 : 1_000,
      })
    const loops = [
      project('log', (events) => void tellWorkers({ announcer, signals }, events).catch(quiet)),
      project('org', (events) => {
        sender.wake()
        tellSockets({ signals }, events).catch(quiet)
      }),
      settlement({
        ...{ store, pipelines, clock, ids, report: quiet },
        feed: this.#mutation.settlementFeed?.(settled) ?? settled,
      }),
      new Rescuer({
        ...{ pipelines, clock, ids, report: quiet },
        leases: process.port('leases', this.#leases),
        holds: process.port('holds', this.#holds),
      }).loop(),
      sender,
    ]
    for (const loop of loops) loop.start()
  }

  #sender(process: SimulatedProcess, pipelines: Pipelines): WebhookSender {
    const { ids } = this
    const { clock } = process
    const transport = this.#mutation.transport?.(this.transport) ?? this.transport
    return new WebhookSender({
      ...{ ids, clock, report: quiet },
      store: process.port('deliveries', this.deliveries),
      transport: process.port('transport', transport),
      disable: endpointDisabler({ pipelines, clock, ids }),
    })
  }

  pipelinesOf(process: SimulatedProcess): Pipelines {
    const { ids } = this
    const { clock } = process
    const observer = { appended: quiet, conflicted: quiet }
    const asked = process.port('events', this.#store)
    // Profiles differ: one of two processes hears of events without asking.
    const store = this.#started % 2 === 0 ? asked : new HeardStore(asked, this.log)
    const snapshots = process.port('snapshots', this.#snapshots)
    const ports = { store, snapshots, clock, ids, observer }
    const pacer = new Pacer(clock)
    const jobs = this.#mutation.jobs?.(jobDecider) ?? jobDecider
    const accounts = this.#mutation.accounts?.(accountDecider) ?? accountDecider
    return {
      ...openPipelines(ports),
      jobs: new CommandPipeline({ ...jobAggregate, decider: jobs }, ports, pacer),
      accounts: new CommandPipeline({ ...accountAggregate, decider: accounts }, ports, pacer),
    }
  }
}
