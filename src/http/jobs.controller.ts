import { Body, Controller, Get, Header, Inject, Param, Post, Query } from '@nestjs/common'
import { Req, Res } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CancelJob } from '../commands/cancel-job.ts'
import { batchJobsMax, jobRequest } from '../commands/job-request.ts'
import { RetryJob } from '../commands/retry-job.ts'
import { SubmitJob } from '../commands/submit-job.ts'
import type { Submitted } from '../commands/submit-job.ts'
import { DomainError, invalid } from '../../domain/errors.ts'
import { isFinished } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import { estimatedCredits, jobView } from '../../domain/job/job-view.ts'
import type { JobView } from '../../domain/job/job-view.ts'
import type { Loaded } from '../../domain/pipeline/command-pipeline.ts'
import { getJob, showJob } from '../queries/get-job.ts'
import { listJobEvents } from '../queries/list-job-events.ts'
import { listJobs } from '../queries/list-jobs.ts'
import { JobChannels } from '../realtime/job-channels.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsScope, OpenToClients } from './access.ts'
import { Answer } from './answer.ts'
import { Authenticator, bearerToken } from './authenticator.ts'
import { batchItem, batchJobId, isUnknown } from './batch.ts'
import { letGoOfBody } from './intake.ts'
import { allowanceHeaders, tightestOf, usedUp } from './rate-limit-headers.ts'
import type { Allowance } from './rate-limit-headers.ts'
import type { Query as QueryParams } from './paging.ts'
import { preferredWaitMs } from './prefer.ts'
import { commandContext, tenantOf } from './request-context.ts'
import { streamJobEvents } from './sse.ts'

/** How long a link to a result is valid, ms. */
const resultUrlMs = 5 * 60_000

@Controller('v1/jobs')
export class JobsController {
  readonly #runtime: Runtime
  readonly #commands: CommandBus
  readonly #channels: JobChannels
  readonly #authenticator: Authenticator

  constructor(
    @Inject(RUNTIME) runtime: Runtime,
    @Inject(CommandBus) commands: CommandBus,
    @Inject(JobChannels) channels: JobChannels,
    @Inject(Authenticator) authenticator: Authenticator,
  ) {
    this.#runtime = runtime
    this.#commands = commands
    this.#channels = channels
    this.#authenticator = authenticator
  }

  /** Takes the body from the request: what waits for the end of the job must not hold it. */
  @Post()
  @NeedsScope('jobs:write')
  async submit(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) { raw: response }: FastifyReply,
  ): Promise<Answer> {
    const waitMs = preferredWaitMs(request)
    const jobId = request.weir.subjectId
    const submitted = await this.#submit(request, jobId)
    const headers = allowanceHeaders(submitted.allowance)
    const location = `${this.#runtime.config.publicUrl}/v1/jobs/${jobId}`
    if (waitMs === null) return new Answer(202, this.#view(submitted), { location, ...headers })
    letGoOfBody(request)
    const gone = new AbortController()
    if (response.closed) gone.abort()
    else response.once('close', () => gone.abort())
    await this.#channels.untilFinished(jobId, waitMs, gone.signal)
    const job = await this.#fresh(request, jobId)
    const preference = `wait=${waitMs / 1000}`
    return new Answer(202, job, { location, 'preference-applied': preference, ...headers })
  }

  async #submit(request: FastifyRequest, jobId: string): Promise<Submitted> {
    const context = commandContext(request, tenantOf(request).orgId)
    request.weir.jobId = jobId
    const asked = jobRequest(request.body)
    request.weir.userId = asked.userId ?? null
    return this.#commands.execute(new SubmitJob(jobId, asked, context))
  }

  @Post('batch')
  @NeedsScope('jobs:write')
  async submitBatch(@Req() request: FastifyRequest, @Body() body: unknown): Promise<Answer> {
    const jobs = jobsOf(body)
    const { orgId } = tenantOf(request)
    const { subjectId, requestId } = request.weir
    const { log, metrics } = this.#runtime
    const left: (Allowance | null)[] = []
    const submitting = jobs.map((item, index) =>
      batchItem({ log, metrics, requestId }, async () => {
        const jobId = batchJobId(this.#runtime.ids, subjectId, index)
        const context = { ...commandContext(request, orgId), commandId: jobId }
        const command = new SubmitJob(jobId, jobRequest(item), context)
        const submitted = await this.#commands.execute(command)
        left.push(submitted.allowance)
        return this.#view(submitted)
      }),
    )
    const items = await Promise.all(submitting)
    const refusing = items.map((item) => ('error' in item ? usedUp(item.error) : null))
    const headers = allowanceHeaders(tightestOf([...refusing, ...left]))
    return new Answer(200, { items }, headers, !items.some(isUnknown))
  }

  @Get()
  @NeedsScope('jobs:read')
  async list(@Req() request: FastifyRequest, @Query() query: QueryParams): Promise<unknown> {
    return listJobs(this.#runtime, tenantOf(request).orgId, query)
  }

  @Get(':jobId')
  @OpenToClients('jobs:read')
  async get(@Req() request: FastifyRequest, @Param('jobId') jobId: string): Promise<JobView> {
    return this.#fresh(request, jobId)
  }

  @Post(':jobId/cancel')
  @NeedsScope('jobs:write')
  async cancel(@Req() request: FastifyRequest, @Param('jobId') jobId: string): Promise<Answer> {
    const { orgId } = (await this.#named(request, jobId)).state.spec
    const context = commandContext(request, orgId)
    const canceled = await this.#commands.execute(new CancelJob(jobId, context))
    return new Answer(202, await showJob(this.#runtime, canceled))
  }

  @Post(':jobId/retry')
  @NeedsScope('jobs:write')
  async retry(@Req() request: FastifyRequest, @Param('jobId') jobId: string): Promise<Answer> {
    const { orgId } = (await this.#named(request, jobId)).state.spec
    const context = commandContext(request, orgId)
    const retried = await this.#commands.execute(new RetryJob(jobId, context))
    const headers = allowanceHeaders(retried.allowance)
    return new Answer(202, await showJob(this.#runtime, retried), headers)
  }

  @Get(':jobId/events')
  @OpenToClients('jobs:read')
  @Header('vary', 'accept, origin')
  async events(
    @Req() request: FastifyRequest,
    @Param('jobId') jobId: string,
    @Query() query: QueryParams,
  ): Promise<unknown> {
    const { state, revision } = await this.#named(request, jobId)
    if (!(request.headers.accept ?? '').includes('text/event-stream')) {
      return listJobEvents(this.#runtime, jobId, query)
    }
    const job = { revision, isFinished: isFinished(state.status) }
    const { every } = this.#runtime
    const token = bearerToken(request.headers.authorization)
    const isOver = () => this.#authenticator.isOver(token)
    return streamJobEvents({
      ...{ request, jobId, query, job, every, isOver },
      channels: this.#channels,
    })
  }

  @Get(':jobId/result')
  @OpenToClients('jobs:read')
  async result(@Req() request: FastifyRequest, @Param('jobId') jobId: string): Promise<Answer> {
    const { state } = await this.#named(request, jobId)
    if (!isFinished(state.status)) {
      throw new DomainError('conflict', `The job is ${state.status}; it has no result yet.`)
    }
    if (!state.result) throw new DomainError('not_found', 'The job ended without a result.')
    const { objects, clock } = this.#runtime
    const signed = await objects.signGet(state.result.key, clock.now() + resultUrlMs)
    return new Answer(302, undefined, { location: signed.url, 'cache-control': 'no-store' })
  }

  #view({ state, revision }: Loaded<Job>): JobView {
    return jobView(state, revision, this.#runtime.config.publicUrl, estimatedCredits(state))
  }

  async #fresh(request: FastifyRequest, jobId: string): Promise<JobView> {
    return showJob(this.#runtime, await this.#named(request, jobId))
  }

  /** The job as it is now; the line of the request tells of it. @throws DomainError `not_found` */
  async #named(request: FastifyRequest, jobId: string): Promise<Loaded<Job>> {
    request.weir.jobId = jobId
    const job = await getJob(this.#runtime, tenantOf(request), jobId)
    request.weir.userId = job.state.spec.userId
    return job
  }
}

/** The list of a batch; what its items hold is judged one by one. */
function jobsOf(body: unknown): readonly unknown[] {
  const isObject = typeof body === 'object' && body !== null
  const jobs: unknown = isObject && 'jobs' in body ? body.jobs : undefined
  if (!Array.isArray(jobs) || jobs.length === 0 || jobs.length > batchJobsMax) {
    const detail = `must be a list of 1 to ${batchJobsMax} jobs`
    throw invalid('invalid_request', [{ pointer: '/jobs', detail }])
  }
  return jobs
}
