import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { type DomainError, invalid } from '../../domain/errors.ts'
import { deadlineAfter, existingJob, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import type { JobSpec } from '../../domain/job/job-events.ts'
import type { CommandContext, Loaded } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { priceBookStream, versionAt } from '../../domain/pricing/price-book.ts'
import { isUploadId, uploadKey, uploadUsableUntil } from '../../domain/upload/upload-key.ts'
import type { JobType } from '../../workers/handlers/job-type.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { admit } from './admission.ts'
import type { Allowance } from '../http/rate-limit-headers.ts'
import { estimateOf } from './estimate.ts'
import { metadataLengthMax, runAtOf } from './job-request.ts'
import type { JobRequest } from './job-request.ts'
import { requireCallable } from './webhook-url.ts'

/** Largest input that stands in the event itself, characters of JSON; a larger one is an object. */
const inlineInputLengthMax = 32_000
/** A hold outlives its job's deadline by this much, and a job without one by a year, ms. */
const holdGraceMs = 3_600_000
const holdMsMax = 366 * 86_400_000

/** The job, and what is left of the limits that it was counted for. */
export type Submitted = Loaded<Job> & { readonly allowance: Allowance | null }

/** Takes a job: holds its credits, then writes it down. Repeating it makes the same job. */
export class SubmitJob extends Command<Submitted> {
  readonly jobId: string
  readonly request: JobRequest
  readonly context: CommandContext

  constructor(jobId: string, request: JobRequest, context: CommandContext) {
    super()
    this.jobId = jobId
    this.request = request
    this.context = context
  }
}

@CommandHandler(SubmitJob)
export class SubmitJobHandler implements ICommandHandler<SubmitJob> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ jobId, request, context }: SubmitJob): Promise<Submitted> {
    const { pipelines, ids } = this.#runtime
    const { spec, planned } = await this.#prepare(jobId, request, context)
    const { userId, jobType } = spec
    const hold = {
      type: 'HoldCredits' as const,
      ...{ holdId: jobId, jobId, amount: BigInt(spec.estimateMicro), at: spec.submittedAt },
      ...{ expiresAt: holdEnd(spec), userId, planned },
    }
    const held = { ...context, commandId: ids.derive('hold', jobId) }
    const providers = planned.map(({ provider }) => provider)
    const allowance = await admit(this.#runtime, hold, { userId, jobType, providers }, held)
    // Only now: what is refused leaves nothing behind.
    if (spec.inputKey !== null) await this.#keepInput(spec.inputKey, request)
    const submitted = { ...context, commandId: ids.derive('submit', jobId) }
    const command = { type: 'SubmitJob' as const, spec }
    const { state, revision } = await pipelines.jobs.handle(jobStream(jobId), command, submitted)
    return { state: existingJob(state), revision, allowance }
  }

  async #prepare(jobId: string, request: JobRequest, context: CommandContext) {
    const { pipelines, clock, jobTypes } = this.#runtime
    const type = jobTypes.get(request.type)
    if (!type) throw unknownType(request.type, [...jobTypes.keys()])
    const calls = type.estimate(request.input)
    const metadata = request.metadata ?? {}
    if (JSON.stringify(metadata).length > metadataLengthMax) throw metadataTooLarge()
    if (request.webhook) requireCallable(this.#runtime, request.webhook.url, '/webhook/url')
    await this.#checkSources(type, request, context.orgId)
    const now = clock.now()
    const submittedAt = isoTime(now)
    const runAt = runAtOf(request, now)
    const { state: book } = await pipelines.priceBook.load(priceBookStream)
    const deadlineSeconds = request.deadlineSeconds ?? null
    const version = versionAt(book, submittedAt)
    const { amount, planned } = estimateOf(version, calls)
    const price = { estimateMicro: amount.toString(), priceVersion: version?.version ?? 0 }
    const spec: JobSpec = {
      ...{ jobId, orgId: context.orgId, userId: request.userId ?? null, jobType: type.type },
      ...inputOf(jobId, request),
      ...{ priority: request.priority ?? 'normal', metadata, runAt, deadlineSeconds },
      webhook: request.webhook
        ? { url: request.webhook.url, events: request.webhook.events ?? null }
        : null,
      deadlineAt: deadlineAfter(runAt ?? submittedAt, deadlineSeconds),
      attemptsMax: type.maxAttempts,
      ...price,
      traceparent: context.traceparent,
      submittedAt,
    }
    return { spec, planned }
  }

  async #keepInput(inputKey: string, { input }: JobRequest): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(input))
    const options = { contentType: 'application/json', bytesMax: bytes.length }
    await this.#runtime.objects.put(inputKey, bytes, options)
  }

  /** Refuses what the worker could not open: another org's upload, a forbidden address. */
  async #checkSources(type: JobType, request: JobRequest, orgId: string): Promise<void> {
    const { objects, clock } = this.#runtime
    for (const member of type.uploads ?? []) {
      const ref = request.input[member]
      if (typeof ref !== 'string') continue
      if (ref.startsWith('https:')) requireCallable(this.#runtime, ref, `/input/${member}`)
      if (!isUploadId(ref)) continue
      const usable = uploadUsableUntil(ref) > clock.now()
      if (usable && (await objects.head(uploadKey(orgId, ref)))) continue
      const detail = 'is not an upload of yours that is complete and younger than 24 hours'
      throw invalid('invalid_input', [{ pointer: `/input/${member}`, detail }])
    }
  }
}

/** The input as the event holds it, or where it is kept. */
function inputOf(jobId: string, { input }: JobRequest): Pick<JobSpec, 'input' | 'inputKey'> {
  const isInline = JSON.stringify(input).length <= inlineInputLengthMax
  return isInline ? { input, inputKey: null } : { input: null, inputKey: `inputs/${jobId}` }
}

function holdEnd({ deadlineAt, submittedAt }: JobSpec): string {
  if (deadlineAt !== null) return isoTime(Date.parse(deadlineAt) + holdGraceMs)
  return isoTime(Date.parse(submittedAt) + holdMsMax)
}

function unknownType(type: string, known: readonly string[]): DomainError {
  const detail = `is not a job type here; known are ${known.join(', ')}`
  return invalid('invalid_input', [
    { pointer: '/type', detail: `${JSON.stringify(type)} ${detail}` },
  ])
}

function metadataTooLarge(): DomainError {
  const detail = `has at most ${metadataLengthMax} characters of JSON`
  return invalid('invalid_request', [{ pointer: '/metadata', detail }])
}
