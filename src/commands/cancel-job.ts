import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { DomainError } from '../../domain/errors.ts'
import { existingJob, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import type { CommandContext, Loaded } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { writtenBy } from './written-by.ts'

/** Cancels a queued job at once, and asks the worker of a running one to stop. */
export class CancelJob extends Command<Loaded<Job>> {
  readonly jobId: string
  readonly context: CommandContext

  constructor(jobId: string, context: CommandContext) {
    super()
    this.jobId = jobId
    this.context = context
  }
}

@CommandHandler(CancelJob)
export class CancelJobHandler implements ICommandHandler<CancelJob> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ jobId, context }: CancelJob): Promise<Loaded<Job>> {
    const { pipelines, clock } = this.#runtime
    const command = { type: 'RequestCancel' as const, at: isoTime(clock.now()) }
    const stream = jobStream(jobId)
    try {
      const { state, revision } = await pipelines.jobs.handle(stream, command, context)
      return { state: existingJob(state), revision }
    } catch (error) {
      const isRefused = error instanceof DomainError && error.code === 'conflict'
      if (!isRefused || !(await writtenBy(this.#runtime, stream, context.commandId))) throw error
      const { state, revision } = await pipelines.jobs.load(stream)
      return { state: existingJob(state), revision }
    }
  }
}
