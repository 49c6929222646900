import { accountStream } from '../../domain/account/account.ts'
import { openPipelines } from '../../domain/aggregates.ts'
import type { Pipelines } from '../../domain/aggregates.ts'
import { assert } from '../../domain/assert.ts'
import type { Recorded } from '../../domain/catalog.ts'
import { existingJob, holdIdOf, isFinished, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import type { JobSpec } from '../../domain/job/job-events.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { priceBookStream } from '../../domain/pricing/price-book.ts'
import { MemoryAnnouncements } from '../../infra/memory/announcements.ts'
import { MemoryAnnouncer } from '../../infra/memory/announcer.ts'
import { MemoryBus } from '../../infra/memory/bus.ts'
import { MemoryEventFeed } from '../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../infra/memory/event-store.ts'
import { MemoryHoldWatch } from '../../infra/memory/hold-watch.ts'
import { MemoryLeaseStore } from '../../infra/memory/lease-store.ts'
import { MemoryLimitStore } from '../../infra/memory/limit-store.ts'
import { MemoryObjectStore } from '../../infra/memory/object-store.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { MemorySignals } from '../../infra/memory/signals.ts'
import { MemorySnapshotStore } from '../../infra/memory/snapshot-store.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { SimulatedIds } from '../../infra/simulated/ids.ts'
import {
  accountBalanceTable,
  creditGrantTable,
  creditHoldTable,
} from '../../projections/balance.ts'
import { concurrencyLimitTable } from '../../projections/concurrency-limit.ts'
import { jobQueueTable } from '../../projections/job-queue.ts'
import { projections } from '../../projections/registry.ts'
import { tellSockets, tellWorkers } from '../../src/roles/page-signals.ts'
import type { JobType } from '../../workers/handlers/job-type.ts'
import { JobWorker } from '../../workers/job-worker.ts'
import type { AttemptReport } from '../../workers/job-worker.ts'
import type { Loop, LoopReport } from '../../workers/loop.ts'
import { ProviderTurns } from '../../workers/provider-turns.ts'
import { ProgressTeller } from '../../workers/progress.ts'
import { projector } from '../../workers/projector.ts'
import { Rescuer } from '../../workers/rescuer.ts'
import { settlement } from '../../workers/settlement.ts'
import { UsageMeter } from '../../workers/usage-meter.ts'
import { Life } from './mortal.ts'
import { noAlarm } from './recorded.ts'

export const leaseMs = 15_000
/** What one call of the sandbox costs, micro-credits. */
export const callMicro = 10_000n

export type WorkerSettings = {
  readonly jobTypes: readonly JobType[]
  readonly concurrency?: number
}

export type WorkerProcess = {
  readonly life: Life
  readonly worker: JobWorker
  readonly attempts: AttemptReport[]
}

/** A line that a loop told. */
export type Told = { readonly level: string; readonly message: string; readonly err: unknown }

/**
 * The whole of weir in memory, but for HTTP: one log, read models, leases, and as many processes
 * as a test starts, each with its own pipelines and a life that can be ended at any call. Time is
 * simulated: nothing happens until it is moved.
 */
export class MemoryWeir {
  readonly clock = new SimulatedClock()
  readonly ids = new SimulatedIds(1, this.clock)
  readonly log = new MemoryEventLog()
  readonly store = new MemoryEventStore(this.log)
  readonly snapshots = new MemorySnapshotStore()
  readonly readModels = new MemoryReadModelStore()
  readonly bus = new MemoryBus()
  readonly signals = new MemorySignals(this.bus)
  readonly objects = new MemoryObjectStore({
    baseUrl: 'http://weir.test',
    secretKey: Buffer.alloc(32, 1),
    clock: this.clock,
  })
  readonly leases = new MemoryLeaseStore(
    this.clock,
    () => this.readModels.all(jobQueueTable),
    () => this.readModels.all(concurrencyLimitTable),
  )
  readonly limits = new MemoryLimitStore()
  readonly holds = new MemoryHoldWatch({
    holds: () => this.readModels.all(creditHoldTable),
    queue: () => this.readModels.all(jobQueueTable),
    grants: () => this.readModels.all(creditGrantTable),
    balances: () => this.readModels.all(accountBalanceTable),
  })
  readonly projections = projections({ alarm: noAlarm, publicUrl: 'http://weir.test' })
  /** The api's. */
  readonly pipelines = this.#pipelines(new Life())
  /** What loops told beyond `info`. */
  readonly told: Told[] = []
  /** Errors of our inside that attempts ended with. */
  readonly met: unknown[] = []
  readonly #started: { readonly loop: Loop; readonly life: Life }[] = []

  readonly report: LoopReport = (level, fields, message) => {
    if (level !== 'info') this.told.push({ level, message, err: fields['err'] })
  }

  newFeed(): MemoryEventFeed {
    return new MemoryEventFeed(this.log, this.clock)
  }

  /** Publishes prices and opens the org `acme` with a million calls' worth of credits. */
  async open(): Promise<this> {
    const at = this.#now()
    const line = { provider: 'sandbox', model: null, unit: 'requests' }
    const prices = [{ ...line, costUsd: '0.001', priceCredits: '0.01' }]
    const publish = { type: 'PublishPrice' as const, version: 1, effectiveAt: at, prices }
    const context = this.context('weir')
    await this.pipelines.priceBook.handle(priceBookStream, { ...publish, reason: '' }, context)
    await this.openOrg('acme', 1_000_000n * callMicro)
    return this
  }

  async openOrg(orgId: string, amount: bigint): Promise<void> {
    const at = this.#now()
    const stream = accountStream(orgId)
    const opened = { type: 'OpenAccount' as const, orgId, name: orgId, overdraft: 0n, at }
    await this.pipelines.accounts.handle(stream, opened, this.context(orgId))
    const terms = { kind: 'purchase' as const, priority: 100, expiresAt: null, reason: 'bought' }
    const grant = { type: 'GrantCredits' as const, grantId: this.ids.next(), amount, at, ...terms }
    await this.pipelines.accounts.handle(stream, grant, this.context(orgId))
  }

  context(orgId: string, actor = 'key:k1') {
    const commandId = this.ids.next()
    return { commandId, orgId, actor, correlationId: commandId, traceparent: null }
  }

  /** Takes a job as the api does: the hold, then the job. Returns its id. */
  async submit(jobType: string, more: Partial<JobSpec> = {}, calls = 10): Promise<string> {
    const spec = this.spec(jobType, more, calls)
    await this.hold(spec)
    await this.submitSpec(spec)
    return spec.jobId
  }

  spec(jobType: string, more: Partial<JobSpec> = {}, calls = 10): JobSpec {
    const submittedAt = this.#now()
    const { deadlineSeconds = null, runAt = null } = more
    const from = Date.parse(runAt ?? submittedAt)
    return {
      ...{ jobId: this.ids.next(), orgId: 'acme', userId: 'u1', jobType, inputKey: null },
      ...{ input: {}, priority: 'normal', webhook: null, metadata: {}, runAt, deadlineSeconds },
      deadlineAt: deadlineSeconds === null ? null : isoTime(from + deadlineSeconds * 1_000),
      ...{ attemptsMax: 5, estimateMicro: (callMicro * BigInt(calls)).toString() },
      ...{ priceVersion: 1, traceparent: null, submittedAt },
      ...more,
    }
  }

  async hold({ jobId, orgId, estimateMicro }: JobSpec, holdId = jobId): Promise<void> {
    const at = this.#now()
    const expiresAt = isoTime(this.clock.now() + 86_400_000)
    const amount = BigInt(estimateMicro)
    const command = { type: 'HoldCredits' as const, holdId, jobId, amount, at, expiresAt }
    await this.pipelines.accounts.handle(accountStream(orgId), command, this.context(orgId))
  }

  async submitSpec(spec: JobSpec): Promise<void> {
    const command = { type: 'SubmitJob' as const, spec }
    await this.pipelines.jobs.handle(jobStream(spec.jobId), command, this.context(spec.orgId))
  }

  async cancel(jobId: string): Promise<void> {
    const command = { type: 'RequestCancel' as const, at: this.#now() }
    const { orgId } = (await this.job(jobId)).spec
    await this.pipelines.jobs.handle(jobStream(jobId), command, this.context(orgId))
  }

  async requeue(jobId: string, calls = 10): Promise<void> {
    const job = await this.job(jobId)
    const requeue = job.requeues + 1
    const estimateMicro = (callMicro * BigInt(calls)).toString()
    await this.hold({ ...job.spec, estimateMicro }, holdIdOf(jobId, requeue))
    const [heldAt, at] = [this.#now(), this.#now()]
    const command = { type: 'RequeueJob' as const, requeue, estimateMicro, heldAt, at }
    await this.pipelines.jobs.handle(jobStream(jobId), command, this.context('acme'))
  }

  /** The job as its own stream tells it. */
  async job(jobId: string): Promise<Job> {
    return existingJob((await this.pipelines.jobs.load(jobStream(jobId))).state)
  }

  async account(orgId = 'acme') {
    return (await this.pipelines.accounts.load(accountStream(orgId))).state
  }

  /** Types of the events of a job, in order. */
  eventsOf(jobId: string): readonly string[] {
    return (this.log.streams.get(jobStream(jobId)) ?? []).map(({ type }) => type)
  }

  /** How many events of that type there are, in all streams. */
  count(type: string): number {
    return this.log.events.filter((event) => event.type === type).length
  }

  startProjector(): Loop {
    const { readModels: store, projections: all, clock, report, signals } = this
    const announcer = new MemoryAnnouncer(this.bus)
    const committed = (events: readonly Recorded[]): void => {
      void tellWorkers({ announcer, signals }, events)
      void tellSockets({ signals }, events)
    }
    const feed = this.newFeed()
    return this.#start(projector({ feed, store, projections: all, clock, report, committed }))
  }

  startSettlement(): Loop {
    const life = new Life()
    const { readModels: store, clock, ids, report } = this
    const pipelines = this.#pipelines(life)
    const options = { feed: this.newFeed(), store, pipelines, clock, ids, report }
    return this.#start(settlement(options), life)
  }

  startRescuer(): Loop {
    const life = new Life()
    const { leases, holds, clock, ids, report } = this
    const pipelines = this.#pipelines(life)
    return this.#start(new Rescuer({ pipelines, leases, holds, clock, ids, report }).loop(), life)
  }

  /** Everything but workers. */
  startBackground(): void {
    this.startProjector()
    this.startSettlement()
    this.startRescuer()
  }

  startWorker({ jobTypes, concurrency = 10 }: WorkerSettings): WorkerProcess {
    const life = new Life()
    const attempts: AttemptReport[] = []
    const { ids, report } = this
    const pipelines = this.#pipelines(life)
    const [clock, signals] = [life.port(this.clock), life.port(this.signals)]
    const worker = new JobWorker({
      ...{ pipelines, clock, ids, signals, concurrency, leaseMs },
      workerId: ids.next(),
      objects: life.port(this.objects),
      leases: life.port(this.leases),
      announcements: new MemoryAnnouncements(this.bus),
      jobTypes: new Map(jobTypes.map((type) => [type.type, type])),
      meter: new UsageMeter({ pipelines, clock, unpriced: () => undefined }),
      download: () => Promise.reject(new Error('there is no network')),
      progress: new ProgressTeller(signals, clock),
      turns: new ProviderTurns({ pipelines, clock, ids, limits: this.limits }),
      observer: { called: () => undefined, met: (error) => void this.met.push(error) },
      report: (...told) => (life.isOver ? undefined : report(...told)),
      attempted: (attempt) => void attempts.push(attempt),
    })
    this.#start(worker, life)
    return { life, worker, attempts }
  }

  /** Moves time, in seconds. */
  async pass(seconds: number): Promise<void> {
    await this.clock.advance(seconds * 1_000)
  }

  /** Moves time until it is so. @throws after `limitSeconds` of simulated time */
  async until(what: string, isSo: () => boolean | Promise<boolean>, limitSeconds = 600) {
    const limit = this.clock.now() + limitSeconds * 1_000
    while (!(await isSo())) {
      if (this.clock.now() >= limit) throw new Error(`waited ${limitSeconds} s for ${what}`)
      await this.clock.advance(100)
    }
  }

  async untilEnded(jobId: string, limitSeconds?: number): Promise<Job> {
    const isEnded = async () => isFinished((await this.job(jobId)).status)
    await this.until(`job ${jobId} to end`, isEnded, limitSeconds)
    return await this.job(jobId)
  }

  /**
   * Stops whatever is alive. Attempts that run are given back. Whatever happened, no two events
   * have one id: of two webhooks with one id only one would be sent.
   */
  async stop(): Promise<void> {
    const alive = this.#started.filter(({ life }) => !life.isOver)
    const stopped = Promise.all(alive.map(({ loop }) => loop.stop(AbortSignal.abort())))
    const progress = { isStopped: false }
    void stopped.then(() => (progress.isStopped = true))
    await this.until('loops to stop', () => progress.isStopped)
    const ids = new Set(this.log.events.map(({ id }) => id))
    assert(ids.size === this.log.events.length, 'each event has an id of its own')
  }

  #start<Started extends Loop>(loop: Started, life = new Life()): Started {
    this.#started.push({ loop, life })
    loop.start()
    return loop
  }

  #pipelines(life: Life): Pipelines {
    const observer = { appended: () => undefined, conflicted: () => undefined }
    const { snapshots, clock, ids } = this
    return openPipelines({ store: life.port(this.store), snapshots, clock, ids, observer })
  }

  #now(): string {
    return isoTime(this.clock.now())
  }
}
