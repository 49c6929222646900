import { accountStream } from '../domain/account/account.ts'
import type { Pipelines } from '../domain/aggregates.ts'
import { DomainError } from '../domain/errors.ts'
import { holdIdOf, isFinished, jobStream } from '../domain/job/job.ts'
import type { Job, JobState } from '../domain/job/job.ts'
import { isoTime, isRecent } from '../domain/ports/clock.ts'
import type { Clock } from '../domain/ports/clock.ts'
import type { HoldWatch, StrandedHold } from '../domain/ports/hold-watch.ts'
import type { Ids } from '../domain/ports/ids.ts'
import type { ExpiredLease, LeaseStore } from '../domain/ports/lease-store.ts'
import type { Loop, LoopReport } from './loop.ts'
import { repeat } from './repeat.ts'
import type { Turn } from './repeat.ts'

/** How often the rescuer looks for jobs, and for credits that the balance should not show, ms. */
const everyMs = 1_000
/** How often it looks for stranded holds and for what can be forgotten, which is not urgent, ms. */
const moneyEveryMs = 5_000
/** Things looked at in one turn. */
const batchMax = 200
/**
 * A hold whose job did not appear by then is given back, ms. A submission that is only slow loses
 * nothing but time: it is told to come again (docs/adr/0005).
 */
const strandedAfterMs = 20_000
/** Holders end overdue jobs themselves; after this grace the rescuer does, ms. */
const overdueGraceMs = 3_000

export type RescuerOptions = {
  readonly pipelines: Pick<Pipelines, 'jobs' | 'accounts'>
  readonly leases: LeaseStore
  readonly holds: HoldWatch
  readonly clock: Clock
  readonly ids: Ids
  readonly report: LoopReport
}

/**
 * Ends what nobody ends any more: leases whose worker died, jobs past their deadline, holds whose
 * job never appeared, credits that expired. Every act is a command that is safe to repeat.
 */
export class Rescuer {
  readonly #options: RescuerOptions
  /** When it looked for stranded holds last, ms since the epoch. */
  #moneyAt = -Infinity

  constructor(options: RescuerOptions) {
    this.#options = options
  }

  loop(): Loop {
    const { clock, report } = this.#options
    return repeat({
      name: 'rescuer',
      clock,
      report,
      turn: () => this.turn(),
      idle: (signal) => clock.sleep(everyMs, signal),
    })
  }

  async turn(): Promise<Turn> {
    const { leases, holds, clock } = this.#options
    const now = clock.now()
    await this.#each(await leases.expired(batchMax), (lease) => this.#endLease(lease))
    await this.#each(await leases.overdue(now, batchMax), (jobId) => this.#enforceDeadline(jobId))
    const orgs = await holds.orgsWithExpiredCredits(isoTime(now), batchMax)
    await this.#each(orgs, (orgId) => this.#expireCredits(orgId))
    if (isRecent(this.#moneyAt, now, moneyEveryMs)) return 'idle'
    const stranded = await holds.stranded(isoTime(now - strandedAfterMs), batchMax)
    await this.#each(stranded, (hold) => this.#releaseHold(hold))
    await leases.forget(100 * batchMax)
    this.#moneyAt = now
    return 'idle'
  }

  /** What cannot be helped now is told and met again; it keeps nobody else from being helped. */
  async #each<T>(found: readonly T[], help: (one: T) => Promise<void>): Promise<void> {
    const { report } = this.#options
    const helped = found.map((one) =>
      help(one).catch((error: unknown) => report('error', { err: error }, 'rescue failed')),
    )
    await Promise.all(helped)
  }

  async #endLease(lease: ExpiredLease): Promise<void> {
    const { pipelines, leases, report } = this.#options
    const { jobId, epoch, owner } = lease
    const { state, revision } = await pipelines.jobs.load(jobStream(jobId))
    const isRunning = state.status === 'running' && state.epoch === epoch
    const ended = isRunning ? await this.#endAttempt(state, revision) : revision
    if (ended > revision) report('warn', { jobId, epoch, owner }, 'lease expired, attempt ended')
    await leases.release([{ jobId, epoch, revision: ended }])
  }

  /** Returns the revision at which the job then stands. */
  async #endAttempt(job: Job, revision: number): Promise<number> {
    const { epoch } = job
    const at = this.#now()
    const error = { code: 'lease_expired', message: 'The worker stopped.', retryable: true }
    const reason = 'lease_expired' as const
    const end = { type: 'EndAttempt' as const, epoch, reason, error, runAt: at, at }
    const context = this.#context(job, 'lease-expired', String(epoch))
    try {
      const stream = jobStream(job.spec.jobId)
      return (await this.#options.pipelines.jobs.handle(stream, end, context)).revision
    } catch (refusal) {
      // The holder came back at the last moment and was faster: its write stands.
      if (refusal instanceof DomainError && refusal.code === 'conflict') return revision
      throw refusal
    }
  }

  async #enforceDeadline(jobId: string): Promise<void> {
    const { pipelines, clock } = this.#options
    const stream = jobStream(jobId)
    const { state } = await pipelines.jobs.load(stream)
    if (state.status === 'absent' || state.status === 'abandoned') return
    const graceMs = state.status === 'running' ? overdueGraceMs : 0
    const at = isoTime(clock.now() - graceMs)
    const context = this.#context(state, 'deadline', String(state.requeues))
    await pipelines.jobs.handle(stream, { type: 'EnforceDeadline', at }, context)
  }

  async #releaseHold({ orgId, holdId, jobId }: StrandedHold): Promise<void> {
    const { pipelines, ids, clock, report } = this.#options
    const stream = jobStream(jobId)
    const at = this.#now()
    const actor = 'system:rescuer'
    const commandId = ids.derive('abandon', holdId)
    const context = { commandId, orgId, actor, correlationId: jobId, traceparent: null }
    const abandon = { type: 'AbandonSubmission' as const, at }
    const { state } = await pipelines.jobs.handle(stream, abandon, context)
    const outcome = outcomeOf(state, holdId, isoTime(clock.now() - strandedAfterMs))
    if (outcome === null) return
    const settle = { type: 'SettleHold' as const, holdId, jobId, outcome }
    const settling = { ...context, commandId: ids.derive('settle-stranded', holdId) }
    await pipelines.accounts.handle(accountStream(orgId), settle, settling)
    const what = outcome === 'abandoned' ? 'its job never appeared' : 'its job is over'
    report('warn', { jobId, orgId }, `hold released: ${what}`)
  }

  async #expireCredits(orgId: string): Promise<void> {
    const { pipelines, ids } = this.#options
    const actor = 'system:rescuer'
    const commandId = ids.next()
    const context = { commandId, orgId, actor, correlationId: commandId, traceparent: null }
    const command = { type: 'ExpireCredits' as const, at: this.#now() }
    await pipelines.accounts.handle(accountStream(orgId), command, context)
  }

  #context(state: JobState, ...cause: readonly string[]) {
    if (state.status === 'absent' || state.status === 'abandoned') throw new Error('no such job')
    const { jobId, orgId, traceparent } = state.spec
    const commandId = this.#options.ids.derive('rescue', jobId, ...cause)
    const actor = 'system:rescuer'
    return { commandId, orgId, actor, correlationId: jobId, traceparent }
  }

  #now(): string {
    return isoTime(this.#options.clock.now())
  }
}

/**
 * How the hold ends; null while somebody else will end it: settlement does once its job is over,
 * and is given time for it.
 */
function outcomeOf(state: JobState, holdId: string, endedBefore: string): string | null {
  if (state.status === 'absent' || state.status === 'abandoned') return 'abandoned'
  if (holdIdOf(state.spec.jobId, state.requeues) !== holdId) return 'abandoned'
  const isLeftOver = isFinished(state.status) && (state.finishedAt ?? '') < endedBefore
  return isLeftOver ? state.status : null
}
