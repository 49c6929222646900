import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { Planned } from '../../domain/account/quota.ts'
import { DomainError } from '../../domain/errors.ts'
import { existingJob, holdIdOf, isFinished, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { maximum } from '../../domain/pricing/money.ts'
import { priceBookStream, versionNumbered } from '../../domain/pricing/price-book.ts'
import type { JobType } from '../../workers/handlers/job-type.ts'
import { jobInput } from '../../workers/job-input.ts'
import { admit } from './admission.ts'
import { estimateOf, planLeft } from './estimate.ts'
import type { Submitted } from './submit-job.ts'
import { writtenBy } from './written-by.ts'
import { jobCredits } from '../queries/get-credits.ts'
import { usedBy } from '../queries/list-usage.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** A hold for a job that is queued again outlives it by far: a year, ms. */
const holdMsMax = 366 * 86_400_000
/** How long to wait for the balance to see the end of the attempt before, ms. */
const settledMsMax = 2_000
const settledPollMs = 20

/** Queues a failed, canceled or expired job again, with a new hold for what is left to do. */
export class RetryJob extends Command<Submitted> {
  readonly jobId: string
  readonly context: CommandContext

  constructor(jobId: string, context: CommandContext) {
    super()
    this.jobId = jobId
    this.context = context
  }
}

@CommandHandler(RetryJob)
export class RetryJobHandler implements ICommandHandler<RetryJob> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ jobId, context }: RetryJob): Promise<Submitted> {
    const { pipelines, clock, ids } = this.#runtime
    const stream = jobStream(jobId)
    const loaded = await pipelines.jobs.load(stream)
    const job = existingJob(loaded.state)
    if (await writtenBy(this.#runtime, stream, context.commandId)) {
      return { ...loaded, state: job, allowance: null }
    }
    if (!isFinished(job.status) || job.status === 'succeeded') {
      throw new DomainError('conflict', `A job that is ${job.status} cannot be retried.`)
    }
    const type = this.#runtime.jobTypes.get(job.spec.jobType)
    // No worker would ever begin it, and its hold would stay.
    if (!type) throw typeGone(job.spec.jobType)
    const requeue = await this.#nextRequeue(jobId, job.requeues, context.orgId)
    const hold = await this.#holdOfRest(job, type, requeue)
    const { userId, jobType } = job.spec
    const providers = hold.planned.map(({ provider }) => provider)
    const held = { ...context, commandId: ids.derive('hold', hold.holdId) }
    const allowance = await admit(this.#runtime, hold, { userId, jobType, providers }, held)
    // Another retry may have made it before, or it may be given back by now.
    const { state: account } = await pipelines.accounts.load(accountStream(context.orgId))
    const open = account.holds.get(hold.holdId)
    const estimateMicro = (open?.remaining ?? hold.amount).toString()
    const paid = { requeue, estimateMicro, heldAt: open?.heldAt ?? null }
    const command = { type: 'RequeueJob' as const, ...paid, at: isoTime(clock.now()) }
    const { state, revision } = await pipelines.jobs.handle(stream, command, context)
    return { state: existingJob(state), revision, allowance }
  }

  /** What is not paid yet of what admission has estimated. */
  async #holdOfRest(job: Job, type: JobType, requeue: number) {
    const { sql, clock } = this.#runtime
    const { jobId, userId, estimateMicro } = job.spec
    const amount = maximum(BigInt(estimateMicro) - (await this.#charged(jobId)), 0n)
    const planned = planLeft(await this.#plan(job, type), await usedBy(sql, jobId))
    const now = clock.now()
    return {
      type: 'HoldCredits' as const,
      ...{ holdId: holdIdOf(jobId, requeue), jobId, amount, userId, planned },
      ...{ at: isoTime(now), expiresAt: isoTime(now + holdMsMax) },
    }
  }

  /** What the whole job uses; nothing when its type takes such an input no more. */
  async #plan({ spec }: Job, type: JobType): Promise<readonly Planned[]> {
    const { pipelines, objects } = this.#runtime
    const input = await jobInput(objects, spec)
    if (type.validate(input).length > 0) return []
    const { state: book } = await pipelines.priceBook.load(priceBookStream)
    return estimateOf(versionNumbered(book, spec.priceVersion), type.estimate(input)).planned
  }

  /**
   * One more than the last. When a process died after it had held the credits of a retry, and they
   * were given back since, that hold is closed and pays nothing: its number is passed over.
   */
  async #nextRequeue(jobId: string, requeues: number, orgId: string): Promise<number> {
    const { state } = await this.#runtime.pipelines.accounts.load(accountStream(orgId))
    let requeue = requeues + 1
    while (state.closed.usageIds.has(holdIdOf(jobId, requeue))) requeue += 1
    return requeue
  }

  /**
   * What the job has cost until now. The balance knows all of it once nothing is held any more;
   * should that take long, the hold is larger than needed, and the rest comes back at the end.
   */
  async #charged(jobId: string): Promise<bigint> {
    const { sql, clock } = this.#runtime
    const until = clock.now() + settledMsMax
    for (;;) {
      const known = (await jobCredits(sql, [jobId])).get(jobId)
      if (known?.held === '0' || clock.now() > until) return BigInt(known?.charged ?? '0')
      await clock.sleep(settledPollMs)
    }
  }
}

function typeGone(jobType: string): DomainError {
  return new DomainError('conflict', `The job type ${jobType} is not here any more.`)
}
