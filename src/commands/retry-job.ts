import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import { DomainError } from '../../domain/errors.ts'
import { existingJob, holdIdOf, isFinished, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import type { CommandContext, Loaded } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { maximum } from '../../domain/pricing/money.ts'
import { admit } from './admission.ts'
import { jobCredits } from '../queries/get-credits.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** A hold for a job that is queued again outlives it by far: a year, ms. */
const holdMsMax = 366 * 86_400_000
/** How long to wait for the balance to see the end of the attempt before, ms. */
const settledMsMax = 2_000
const settledPollMs = 20

/** Queues a failed, canceled or expired job again, with a new hold for what is left to do. */
export class RetryJob extends Command<Loaded<Job>> {
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

  async execute({ jobId, context }: RetryJob): Promise<Loaded<Job>> {
    const { pipelines, clock, ids } = this.#runtime
    const stream = jobStream(jobId)
    const job = existingJob((await pipelines.jobs.load(stream)).state)
    if (!isFinished(job.status) || job.status === 'succeeded') {
      throw new DomainError('conflict', `A job that is ${job.status} cannot be retried.`)
    }
    const now = clock.now()
    const at = isoTime(now)
    const requeue = await this.#nextRequeue(jobId, job.requeues, context.orgId)
    const amount = maximum(BigInt(job.spec.estimateMicro) - (await this.#charged(jobId)), 0n)
    const holdId = holdIdOf(jobId, requeue)
    const expiresAt = isoTime(now + holdMsMax)
    const hold = { type: 'HoldCredits' as const, holdId, jobId, amount, at, expiresAt }
    const held = { ...context, commandId: ids.derive('hold', holdId) }
    // What is left of the job is not known by provider any more: nothing is planned there.
    const { userId, jobType } = job.spec
    const subject = { userId, jobType, providers: [] }
    await admit(this.#runtime, { ...hold, userId }, subject, held)
    // Another retry may have made it before, or it may be given back by now.
    const { state: account } = await pipelines.accounts.load(accountStream(context.orgId))
    const open = account.holds.get(holdId)
    const estimateMicro = (open?.remaining ?? amount).toString()
    const paid = { requeue, estimateMicro, heldAt: open?.heldAt ?? null }
    const command = { type: 'RequeueJob' as const, ...paid, at: isoTime(clock.now()) }
    const { state, revision } = await pipelines.jobs.handle(stream, command, context)
    return { state: existingJob(state), revision }
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
